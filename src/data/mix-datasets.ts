/**
 * Several data sets as one: one after the other, or mixed so that each has its share of the rows. How many rows each one gives
 * is arithmetic, TRL's for `DatasetConfig.fraction`; only which of them are left out or repeated is drawn, by the seed.
 */
import { counted } from '../base/counted.ts';
import { didYouMean } from '../base/suggest.ts';
import { InputError, listed, quote } from '../io/errors.ts';
import { shuffle } from './random.ts';

/** Which data set decides how long a mixture is, by the number of rows at which each would be used up. */
const STOPPING_STRATEGIES = {
  first_exhausted: (lengths: readonly number[]) => Math.min(...lengths),
  all_exhausted: (lengths: readonly number[]) => Math.max(...lengths),
} as const;

/**
 * When a mixture ends, by the names of Hugging Face's `interleave_datasets`. `first_exhausted`: when one data set is used up; the
 * others lose rows, and no row is repeated. `all_exhausted`: when all are; the others repeat rows, and no row is lost.
 */
export type StoppingStrategy = keyof typeof STOPPING_STRATEGIES;

/** Where nothing is said. */
export const USUAL_STRATEGY: StoppingStrategy = 'first_exhausted';

/** How data sets are put together. */
export interface MixOptions {
  /** Draws the rows that are left out or repeated. */
  seed: number;
  /** The share of each data set in the mixture, at least 0; only ratios count. Without: all rows, one data set after the other. */
  weights?: readonly number[] | undefined;
  /** When the mixture ends; `first_exhausted`. Only with weights. */
  stoppingStrategy?: StoppingStrategy | undefined;
}

/** What became of one data set. */
export interface MixedPart {
  /** Its rows. */
  rows: number;
  /** Rows of the mixture that are from it, repeats included. */
  taken: number;
  /** Its rows that are not in the mixture. */
  dropped: number;
  /** Rows of the mixture beyond one for each of its rows. */
  repeated: number;
}

/** Data sets as one. */
export interface Mixture<Row> {
  rows: Row[];
  /** One for each data set, in their order. */
  parts: MixedPart[];
}

/** Most rows of a mixture that repeats some. */
const MOST_ROWS = 2 ** 24;

/** The stream of random numbers that draws rows: not one by which a run shuffles them. */
const DRAW = 0x6d6978;

/**
 * Puts data sets together. Without `weights` all rows follow one another. With them, data set i gives `round(weight × length)` rows, where
 * the weights add up to 1 and `length` is that of the mixture: the smallest of all rows(i) / weight(i) for `first_exhausted`, the
 * largest for `all_exhausted`. A data set that gives fewer rows than it has loses rows drawn by `seed`; one that gives more has each
 * row in equally often, or once more. Chosen rows keep their order, and the data sets alternate so that every stretch of the
 * mixture has about the same shares. Which rows of a data set are taken does not depend on the order of the data sets.
 *
 * Throws {@link InputError} for weights that do not fit the data sets, are negative or all 0, for a data set that would give no row,
 * and for a mixture of more than 16,777,216 rows with repeats.
 */
export function mixDatasets<Row>(
  datasets: readonly (readonly Row[])[],
  { seed, weights, stoppingStrategy }: MixOptions,
): Mixture<Row> {
  checkMix(datasets.length, { weights, stoppingStrategy });
  const sizes = datasets.map((rows) => rows.length);
  if (weights === undefined) return { rows: datasets.flat(), parts: sizes.map((size) => partOf(size, size)) };
  const counts = countsOf(sizes, weights, stoppingStrategy ?? USUAL_STRATEGY);
  const drawn = datasets.map((rows, i) => draw(rows, counts[i] as number, seed));
  return { rows: alternate(drawn), parts: sizes.map((size, i) => partOf(size, counts[i] as number)) };
}

/** Throws {@link InputError} for weights that cannot be those of `count` data sets: before anything slow is read. */
export function checkMix(count: number, { weights, stoppingStrategy }: Omit<MixOptions, 'seed'>): void {
  const wrong = (what: string, wayOut: string) => new InputError('weights of the data', what, wayOut);
  if (weights === undefined) {
    if (stoppingStrategy === undefined) return;
    throw new InputError(
      'stopping strategy',
      'there are no weights, so all rows are used once',
      'Give weights, or leave it out',
    );
  }
  checkStrategy(stoppingStrategy);
  if (weights.length !== count)
    throw wrong(
      `there are ${weights.length} for ${counted(count, 'data set')}`,
      'Give one for each data set',
    );
  const bad = weights.find((weight) => !(Number.isFinite(weight) && weight >= 0));
  if (bad !== undefined) throw wrong(`${quote(bad)} is one of them`, 'Give numbers of at least 0');
  if (weights.every((weight) => weight === 0)) throw wrong('all are 0', 'Give at least one above 0');
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

/** How many rows each data set gives. */
function countsOf(
  sizes: readonly number[],
  weights: readonly number[],
  strategy: StoppingStrategy,
): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  const shares = weights.map((weight) => weight / sum);
  const used = shares.flatMap((share, i) => (share > 0 ? [(sizes[i] as number) / share] : []));
  const length = STOPPING_STRATEGIES[strategy](used);
  const counts = shares.map((share) => roundHalfEven(share * length));
  const without = counts.findIndex((count, i) => count === 0 && (weights[i] as number) > 0);
  if (without >= 0) {
    const has = counted(sizes[without] as number, 'row');
    const what = `the weight ${weights[without]} of data set ${without + 1} gives none of its ${has} in a mixture of ${Math.round(length)}`;
    throw new InputError('weights of the data', what, 'Raise the weight, set it to 0, or take all_exhausted');
  }
  if (strategy === 'all_exhausted' && length > MOST_ROWS) {
    const what = `all_exhausted would make ${length.toExponential(1)} rows, and at most ${MOST_ROWS} are made`;
    throw new InputError('weights of the data', what, 'Raise the smallest weight, or take first_exhausted');
  }
  return counts;
}

/** As Python rounds, so that counts are TRL's. */
function roundHalfEven(value: number): number {
  const down = Math.floor(value);
  return value - down === 0.5 && down % 2 === 0 ? down : Math.round(value);
}

/** `count` of the rows, in their order: whole passes, and a part that the seed draws. */
function draw<Row>(rows: readonly Row[], count: number, seed: number): Row[] {
  if (count === 0) return [];
  const drawn: Row[] = [];
  while (drawn.length + rows.length <= count) for (const row of rows) drawn.push(row);
  const more = new Set(shuffle(rows.length, seed, DRAW).subarray(0, count - drawn.length));
  for (const [i, row] of rows.entries()) if (more.has(i)) drawn.push(row);
  return drawn;
}

/** Lists as one in which they alternate evenly: row j of n stands at (j + ½) / n of the whole. */
function alternate<Row>(lists: readonly (readonly Row[])[]): Row[] {
  const filled = lists.filter((list) => list.length > 0).map((list) => ({ list, at: 0 }));
  const place = ({ list, at }: { list: readonly Row[]; at: number }) => (at + 0.5) / list.length;
  const rows: Row[] = [];
  for (let left = filled.reduce((sum, { list }) => sum + list.length, 0); left > 0; left--) {
    const next = filled.reduce((first, other) => (place(other) < place(first) ? other : first));
    rows.push(next.list[next.at++] as Row);
  }
  return rows;
}

function partOf(rows: number, taken: number): MixedPart {
  return { rows, taken, dropped: Math.max(0, rows - taken), repeated: Math.max(0, taken - rows) };
}
