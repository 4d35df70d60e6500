/**
 * Combines several data sets: one after the other, or mixed with a given share of rows each. The number of rows from each
 * is computed with TRL's formula for `DatasetConfig.fraction`; the seed only decides which rows are dropped or repeated.
 */
import { counted } from '../base/counted.ts';
import { didYouMean } from '../base/suggest.ts';
import { InputError, listed, quote } from '../io/errors.ts';
import { shuffle } from './random.ts';

/** Which data set determines the length of a mixture, given the numbers of rows at which each would be used up. */
const STOPPING_STRATEGIES = {
  first_exhausted: (lengths: readonly number[]) => Math.min(...lengths),
  all_exhausted: (lengths: readonly number[]) => Math.max(...lengths),
} as const;

/**
 * When a mixture ends, under the names of Hugging Face's `interleave_datasets`. `first_exhausted`: when one data set is
 * used up; the others lose rows, and no row is repeated. `all_exhausted`: when all are used up; the others repeat rows, and
 * no row is lost.
 */
export type StoppingStrategy = keyof typeof STOPPING_STRATEGIES;

/** The default. */
export const USUAL_STRATEGY: StoppingStrategy = 'first_exhausted';

/** How data sets are combined. */
export interface MixOptions {
  /** Seed of the rows that are dropped or repeated. */
  seed: number;
  /**
   * The share of each data set in the mixture, at least 0; only ratios matter. Default: all rows, one data set after the
   * other.
   */
  weights?: readonly number[] | undefined;
  /** When the mixture ends; default: `first_exhausted`. Requires weights. */
  stoppingStrategy?: StoppingStrategy | undefined;
}

/** How one data set was used. */
export interface MixedPart {
  /** Number of its rows. */
  rows: number;
  /** Number of rows of the mixture that come from it, including repeats. */
  taken: number;
  /** Number of its rows that are not in the mixture. */
  dropped: number;
  /** Number of rows of the mixture that repeat one of its rows. */
  repeated: number;
}

/** The combined data sets. */
export interface Mixture<Row> {
  rows: Row[];
  /** One per data set, in order. */
  parts: MixedPart[];
}

/** Maximum number of rows of a mixture with repeats. */
const MOST_ROWS = 2 ** 24;

/** The random stream that selects rows, separate from those that shuffle a run. */
const DRAW = 0x6d6978;

/**
 * Combines data sets. Without `weights`, all rows follow one another. With weights, data set i provides `round(weight ×
 * length)` rows, where the weights add up to 1 and `length` is that of the mixture: the smallest of all rows(i) / weight(i)
 * for `first_exhausted`, the largest for `all_exhausted`. If a data set provides fewer rows than it has, `seed` selects the
 * rows that are dropped; if it provides more, each row appears equally often, or once more. Selected rows keep their order,
 * and the data sets alternate so that every stretch of the mixture has about the same shares. Which rows of a data set are
 * selected does not depend on the order of the data sets.
 *
 * Throws {@link InputError} for weights that do not match the data sets, are negative or all 0, for a data set that would
 * provide no row, and for a mixture of more than 16,777,216 rows with repeats.
 */
export function mixDatasets<Row>(
  datasets: readonly (readonly Row[])[],
  { seed, weights, stoppingStrategy }: MixOptions,
): Mixture<Row> {
  checkMix(datasets.length, { weights, stoppingStrategy });
  const sizes = datasets.map((rows) => rows.length);
  if (weights === undefined) return { rows: datasets.flat(), parts: sizes.map((size) => partOf(size, size)) };
  const counts = countsOf(sizes, weights, stoppingStrategy ?? USUAL_STRATEGY);
  const drawn = datasets.map((rows, i) => draw(rows, counts[i], seed));
  return { rows: alternate(drawn), parts: sizes.map((size, i) => partOf(size, counts[i])) };
}

/** Throws {@link InputError} for weights that are invalid for `count` data sets, before anything slow is read. */
export function checkMix(count: number, { weights, stoppingStrategy }: Omit<MixOptions, 'seed'>): void {
  const wrong = (what: string, wayOut: string) => new InputError('weights of the data', what, wayOut);
  if (weights === undefined) {
    if (stoppingStrategy === undefined) return;
    throw new InputError(
      'stopping strategy',
      'has no effect without weights, because all rows are used once',
      'Give weights, or leave it out',
    );
  }
  checkStrategy(stoppingStrategy);
  if (weights.length !== count)
    throw wrong(
      `got ${counted(weights.length, 'weight')} for ${counted(count, 'data set')}`,
      'Give one weight per data set',
    );
  const bad = weights.find((weight) => !(Number.isFinite(weight) && weight >= 0));
  if (bad !== undefined) throw wrong(`${quote(bad)} is not a valid weight`, 'Give numbers of at least 0');
  if (weights.every((weight) => weight === 0)) throw wrong('all weights are 0', 'Give at least one above 0');
}

function checkStrategy(name: string | undefined): void {
  const known = Object.keys(STOPPING_STRATEGIES);
  if (name === undefined || known.includes(name)) return;
  throw new InputError(
    'stopping strategy',
    `is ${quote(name)}`,
    `${didYouMean(name, known)}Supported: ${listed(known)}`,
  );
}

/** The number of rows from each data set. */
function countsOf(
  sizes: readonly number[],
  weights: readonly number[],
  strategy: StoppingStrategy,
): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  const shares = weights.map((weight) => weight / sum);
  const used = shares.flatMap((share, i) => (share > 0 ? [sizes[i] / share] : []));
  const length = STOPPING_STRATEGIES[strategy](used);
  const counts = shares.map((share) => roundHalfEven(share * length));
  const without = counts.findIndex((count, i) => count === 0 && weights[i] > 0);
  if (without >= 0) {
    const has = counted(sizes[without], 'row');
    const what = `the weight ${weights[without]} of data set ${without + 1} gives none of its ${has} in a mixture of ${Math.round(length)}`;
    throw new InputError('weights of the data', what, 'Raise the weight, set it to 0, or take all_exhausted');
  }
  if (strategy === 'all_exhausted' && length > MOST_ROWS) {
    const what = `all_exhausted would make ${length.toExponential(1)} rows, but the limit is ${MOST_ROWS}`;
    throw new InputError('weights of the data', what, 'Raise the smallest weight, or take first_exhausted');
  }
  return counts;
}

/** Rounds like Python, so that counts equal TRL's. */
function roundHalfEven(value: number): number {
  const down = Math.floor(value);
  return value - down === 0.5 && down % 2 === 0 ? down : Math.round(value);
}

/** Selects `count` of the rows, in order: whole passes, plus a part selected by the seed. */
function draw<Row>(rows: readonly Row[], count: number, seed: number): Row[] {
  if (count === 0) return [];
  const drawn: Row[] = [];
  while (drawn.length + rows.length <= count) for (const row of rows) drawn.push(row);
  const more = new Set(shuffle(rows.length, seed, DRAW).subarray(0, count - drawn.length));
  for (const [i, row] of rows.entries()) if (more.has(i)) drawn.push(row);
  return drawn;
}

/** Merges lists so that they alternate evenly: row j of n is placed at (j + ½) / n of the whole. */
function alternate<Row>(lists: readonly (readonly Row[])[]): Row[] {
  const filled = lists.filter((list) => list.length > 0).map((list) => ({ list, at: 0 }));
  const place = ({ list, at }: { list: readonly Row[]; at: number }) => (at + 0.5) / list.length;
  const rows: Row[] = [];
  for (let left = filled.reduce((sum, { list }) => sum + list.length, 0); left > 0; left--) {
    const next = filled.reduce((first, other) => (place(other) < place(first) ? other : first));
    rows.push(next.list[next.at++]);
  }
  return rows;
}

function partOf(rows: number, taken: number): MixedPart {
  return { rows, taken, dropped: Math.max(0, rows - taken), repeated: Math.max(0, taken - rows) };
}
