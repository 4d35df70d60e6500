/**
 * The rows that a command trains on and those that it holds out, from files.
 */
import { trainEvalSplit } from '../data/preference-dataset.ts';
import type { Method } from './method.ts';
import { readRows } from './open.ts';
import type { Settings } from './options.ts';

type DataSettings = Settings & { data: string; evalSplit: number; seed: number };

/** Rows to train on and those held out: in a file of their own, or a part of the others. `onNotice` hears of unread columns. */
export async function readData(
  { form }: Method,
  { data: path, evalData, evalSplit, seed }: DataSettings,
  onNotice: (line: string) => void,
) {
  const rows = await readRows(path, form, onNotice);
  if (evalData !== undefined) {
    return { train: rows, evaluation: await readRows(evalData, form, onNotice) };
  }
  // A single row cannot be shared out.
  const share = rows.length === 1 && evalSplit < 1 ? 0 : evalSplit;
  const split = trainEvalSplit(rows, share, seed);
  return { train: split.train, evaluation: split.eval };
}
