/**
 * The rows that a command trains on and those that it holds out, from files.
 */
import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { counted } from '../base/counted.ts';
import type { DataForm } from '../data/data-form.ts';
import {
  checkMix,
  type MixedPart,
  mixDatasets,
  type StoppingStrategy,
  USUAL_STRATEGY,
} from '../data/mix-datasets.ts';
import { trainEvalSplit } from '../data/preference-dataset.ts';
import { InputError } from '../io/errors.ts';
import type { Method } from './method.ts';
import { readRows } from './open.ts';
import type { DATA_OPTIONS, Settings } from './options.ts';

type DataSettings = Pick<Settings, (typeof DATA_OPTIONS)[number]> & {
  data: readonly string[];
  evalSplit: number;
  seed: number;
};

/** The source of a run's rows, for its record: files with full paths. */
export interface DataRecord {
  /** One file, or several. */
  data: string | readonly string[];
  /** The share of each file, if they are mixed. */
  dataWeights?: readonly number[];
  stoppingStrategy?: string;
  evalData: string | null;
  evalSplit: number;
}

/**
 * Rows for training and held-out rows, either from a separate file or split off from each file. `onNotice` receives notices about ignored columns and,
 * for several files, the number of rows from each.
 */
export async function readData(
  { form }: Pick<Method, 'form'>,
  { data: paths, dataWeights: weights, stoppingStrategy, evalData, evalSplit, seed }: DataSettings,
  onNotice: (line: string) => void,
) {
  const mix = { weights, stoppingStrategy: stoppingStrategy as StoppingStrategy | undefined };
  checkMix(paths.length, mix);
  const files = await readFiles(paths, form, onNotice);
  const evaluation = evalData === undefined ? undefined : await readRows(evalData, form, onNotice);
  // A file without training rows has no held-out rows either.
  const sizes = files.map((rows, i) => (weights?.[i] === 0 ? 0 : rows.length));
  const splits = splitsOf(sizes, evaluation ? 0 : evalSplit);
  const parts = files.map((rows, i) => trainEvalSplit(rows, splits[i], seed));
  const mixture = mixDatasets(
    parts.map(({ train }) => train),
    { seed, ...mix },
  );
  if (paths.length > 1 || weights) {
    const how = weights ? ` (${stoppingStrategy ?? USUAL_STRATEGY})` : '';
    const each = mixture.parts.map((part, i) => `${paths[i]} ${partText(part, parts[i]?.eval.length ?? 0)}`);
    onNotice(`Training rows by file${how}: ${each.join('; ')}.`);
  }
  return { train: mixture.rows, evaluation: evaluation ?? parts.flatMap((part) => part.eval) };
}

/** The rows of each file. Throws {@link InputError} if a file is given twice. */
async function readFiles<Row>(
  paths: readonly string[],
  form: DataForm<Row>,
  onNotice?: (line: string) => void,
): Promise<Row[][]> {
  const found = new Map<string, string>();
  for (const path of paths) {
    const file = await realpath(path).catch(() => resolve(path));
    const before = found.get(file);
    if (before !== undefined) {
      const what = before === path ? 'is given twice' : `is the same file as ${before}`;
      throw new InputError(path, what, 'Give each file once; weights set its share');
    }
    found.set(file, path);
  }
  const files: Row[][] = [];
  for (const path of paths) files.push(await readRows(path, form, onNotice));
  return files;
}

/** The rows of all files, one after the other. */
export async function readAllRows<Row>(
  paths: readonly string[],
  form: DataForm<Row>,
  onNotice?: (line: string) => void,
): Promise<Row[]> {
  return (await readFiles(paths, form, onNotice)).flat();
}

/** The number of held-out rows per file: a fraction of its rows, or its part of a total in proportion to the files' sizes. */
function splitsOf(sizes: readonly number[], evalSplit: number): number[] {
  // A single row cannot be split.
  if (evalSplit < 1) return sizes.map((size) => (size <= 1 ? 0 : evalSplit));
  if (sizes.length === 1 || !Number.isSafeInteger(evalSplit)) return sizes.map(() => evalSplit);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const counts = sizes.map((size) => Math.min(Math.floor((evalSplit * size) / total), Math.max(0, size - 1)));
  // Largest remainders first; each file keeps a training row.
  const order = sizes
    .map((size, i) => ({ i, rest: (evalSplit * size) / total - counts[i] }))
    .sort((a, b) => b.rest - a.rest || a.i - b.i);
  let left = evalSplit - counts.reduce((sum, count) => sum + count, 0);
  for (const { i } of order) {
    if (left === 0 || counts[i] + 1 >= sizes[i]) continue;
    counts[i] = counts[i] + 1;
    left--;
  }
  if (left === 0) return counts;
  throw new InputError(
    'evaluation split',
    `${evalSplit} of ${counted(total, 'row')} in ${counted(sizes.length, 'file')} cannot be held out`,
    'Give a share below 1, or a number of rows that leaves some of each file for training',
  );
}

/** The use of a file's rows, for the notice. */
function partText({ rows, taken, dropped, repeated }: MixedPart, held: number): string {
  const count = `${taken} ${repeated > 0 ? 'from' : 'of'} ${rows}`;
  const rest = Object.entries({ dropped, repeated, 'held out': held }).filter(([, number]) => number > 0);
  return [count, ...rest.map(([name, number]) => `${number} ${name}`)].join(', ');
}

/** The source of the rows, as given by the user. */
export function recordedData({
  data,
  dataWeights,
  stoppingStrategy = USUAL_STRATEGY,
  evalData,
  evalSplit,
}: Omit<DataSettings, 'seed'>): DataRecord {
  const files = data.map((path) => resolve(path));
  return {
    data: files.length === 1 ? files[0] : files,
    ...(dataWeights ? { dataWeights, stoppingStrategy } : {}),
    evalData: evalData === undefined ? null : resolve(evalData),
    evalSplit,
  };
}

/** The opposite direction: the files of a record. */
export function dataSettingsOf({ data, dataWeights, stoppingStrategy, evalData, evalSplit }: DataRecord) {
  return {
    data: [data].flat(),
    ...(dataWeights ? { dataWeights: [...dataWeights], stoppingStrategy } : {}),
    evalSplit,
    ...(evalData === null ? {} : { evalData }),
  };
}

/** The files of a record and their weights, as text. */
export function dataText({ data, dataWeights, stoppingStrategy }: DataRecord): string {
  const files = [data].flat();
  if (files.length === 1 && !dataWeights) return files[0];
  const each = files.map((path, i) => (dataWeights ? `${path} (weight ${dataWeights[i]})` : path));
  return [each.join(', '), ...(stoppingStrategy ? [stoppingStrategy] : [])].join('; ');
}
