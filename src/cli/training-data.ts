/**
 * The rows that a command trains on and those that it holds out, from files.
 */
import { trainEvalSplit } from '../data/preference-dataset.ts';
import type { Method } from './methods.ts';
import { readText } from './open.ts';
import type { Settings } from './options.ts';

type DataSettings = Settings & { data: string; evalSplit: number; seed: number };

/** Rows to train on and those held out: in a file of their own, or a part of the others. */
export async function readData(method: Method, { data: path, evalData, evalSplit, seed }: DataSettings) {
  const rows = method.read(await readText(path), path);
  if (evalData !== undefined) {
    return { train: rows, evaluation: method.read(await readText(evalData), evalData) };
  }
  // A single row cannot be shared out.
  const share = rows.length === 1 && evalSplit < 1 ? 0 : evalSplit;
  const split = trainEvalSplit(rows, share, seed);
  return { train: split.train, evaluation: split.eval };
}
