/**
 * The units of losses, as data: pairs, single completions, tokens. For each: how many completions make a record, the role of
 * each completion, the columns of the record and their metric names in TRL, and what divides sums over
 * tokens. The layouts are those of `PairRecord`, `ExampleRecord` and `TokenRecord` in `shaders/lib`. Works on the host, on
 * arrays that were read late.
 */
import { type ExampleShape, type ScoredRows, scoredLengths } from '../data/packing.ts';
import type { Loss } from './loss.ts';

/** Columns of a pair's record, and their number. */
export const PAIR_RECORD = {
  loss: 0,
  /** β r₊, or the formula's own reward. */
  chosenReward: 1,
  rejectedReward: 2,
  margin: 3,
  /** 1 if the chosen reward is larger; a tie is 0. */
  accuracy: 4,
  /** log π of the chosen completion, summed. */
  chosenLogp: 5,
  rejectedLogp: 6,
  chosenTokens: 7,
  rejectedTokens: 8,
  /** Cross-entropy of the chosen completion, per token. */
  nll: 9,
  weight: 10,
  /** The formula's own values. */
  firstNote: 11,
  secondNote: 12,
  width: 13,
} as const;

/** Columns of a labeled completion's record, and their number. */
export const EXAMPLE_RECORD = {
  loss: 0,
  /** β r */
  reward: 1,
  logp: 2,
  tokens: 3,
  /** 1 or 0. */
  desirable: 4,
  undesirable: 5,
  /** The KL baseline of the batch. */
  kl: 6,
  firstNote: 7,
  secondNote: 8,
  width: 9,
} as const;

/** Columns of the record that a loss on tokens writes for each completion, and their number. */
export const TOKEN_RECORD = {
  loss: 0,
  tokens: 1,
  /** log π of the completion, summed. */
  logp: 2,
  /** The formula's own values, means over the tokens. */
  firstNote: 3,
  secondNote: 4,
  thirdNote: 5,
  fourthNote: 6,
  /** The weight of notes in a mean over completions: the number of tokens, or 1 if a note belongs to the whole completion. */
  noteWeight: 7,
  width: 8,
} as const;

/**
 * A metric by name: a column to average; a column and another one with weights; or the extreme of some columns in a
 * batch. Means of several batches are combined by their number of records; weighted columns [value, weight] by the sum
 * of the weights, as if they were one batch.
 */
export type MetricColumns = Readonly<Record<string, MetricColumn>>;
export type MetricColumn = number | readonly [value: number, weight: number] | BatchMean | Extreme;

/** `{ mean: reward, by: desirable }` is the mean reward of a batch's desirable records; batches are weighted as in the loss. */
interface BatchMean {
  readonly mean: number;
  readonly by: number;
}

interface Extreme {
  readonly extreme: 'min' | 'max';
  readonly of: readonly number[];
}

/** Metrics of losses on pairs, with TRL's names. */
export const PAIR_METRICS: MetricColumns = {
  loss: PAIR_RECORD.loss,
  'rewards/chosen': PAIR_RECORD.chosenReward,
  'rewards/rejected': PAIR_RECORD.rejectedReward,
  'rewards/margins': PAIR_RECORD.margin,
  'rewards/accuracies': PAIR_RECORD.accuracy,
  'logps/chosen': PAIR_RECORD.chosenLogp,
  'logps/rejected': PAIR_RECORD.rejectedLogp,
};

/** Metrics of reward models, with TRL's names. */
export const REWARD_METRICS: MetricColumns = {
  loss: PAIR_RECORD.loss,
  min_reward: { extreme: 'min', of: [PAIR_RECORD.chosenReward, PAIR_RECORD.rejectedReward] },
  mean_reward: PAIR_RECORD.firstNote,
  max_reward: { extreme: 'max', of: [PAIR_RECORD.chosenReward, PAIR_RECORD.rejectedReward] },
  accuracy: PAIR_RECORD.accuracy,
  margin: PAIR_RECORD.margin,
};

/** KTO's metrics; `rewards/margins` is the difference of the two means ({@link withMargins}). */
export const KTO_METRICS: MetricColumns = {
  loss: EXAMPLE_RECORD.loss,
  kl: EXAMPLE_RECORD.kl,
  'rewards/chosen': { mean: EXAMPLE_RECORD.reward, by: EXAMPLE_RECORD.desirable },
  'rewards/rejected': { mean: EXAMPLE_RECORD.reward, by: EXAMPLE_RECORD.undesirable },
  'logps/chosen': { mean: EXAMPLE_RECORD.logp, by: EXAMPLE_RECORD.desirable },
  'logps/rejected': { mean: EXAMPLE_RECORD.logp, by: EXAMPLE_RECORD.undesirable },
};

/** Adds the difference of the mean rewards, if records have no margin of their own. */
export function withMargins(means: Readonly<Record<string, number>>): Record<string, number> {
  const { 'rewards/chosen': chosen, 'rewards/rejected': rejected } = means;
  if (chosen === undefined || rejected === undefined) return { ...means };
  return { 'rewards/margins': chosen - rejected, ...means };
}

/** A mean and its weight, so that means of several batches can be combined. */
export interface WeightedMean {
  value: number;
  weight: number;
}

/** records (n, width) → the mean of each metric, summed in float64, or its extreme; means of empty sets are omitted. */
export function recordMeans(
  metrics: MetricColumns,
  records: Float32Array,
  width: number,
): Record<string, WeightedMean> {
  const means: Record<string, WeightedMean> = {};
  const count = records.length / width;
  for (const [name, columns] of Object.entries(metrics)) {
    if (typeof columns === 'number') means[name] = weighedMean(records, width, columns);
    else if ('extreme' in columns) means[name] = { value: extremeOf(columns, records, width), weight: count };
    else if ('mean' in columns) {
      const { value, weight } = weighedMean(records, width, columns.mean, columns.by);
      means[name] = { value, weight: weight > 0 ? count : 0 };
    } else means[name] = weighedMean(records, width, ...columns);
  }
  return Object.fromEntries(Object.entries(means).filter(([, { weight }]) => weight > 0));
}

function weighedMean(records: Float32Array, width: number, value: number, by?: number): WeightedMean {
  let sum = 0;
  let weight = 0;
  for (let row = 0; row < records.length; row += width) {
    const share = by === undefined ? 1 : records[row + by];
    sum += share * records[row + value];
    weight += share;
  }
  return { value: sum / weight, weight };
}

function extremeOf({ extreme, of }: Extreme, records: Float32Array, width: number): number {
  const values = [...records].filter((_, i) => of.includes(i % width));
  return values.reduce((a, b) => Math[extreme](a, b), extreme === 'min' ? Infinity : -Infinity);
}

/** Only the values. */
export function valuesOf(means: Readonly<Record<string, WeightedMean>>): Record<string, number> {
  return Object.fromEntries(Object.entries(means).map(([name, { value }]) => [name, value]));
}

/** The role of a completion in the metrics: one side of a comparison, or a sample of the policy. */
export type Side = 'chosen' | 'rejected' | 'sampled';

export interface Unit {
  /** Completions per record; an example's completions are grouped into records in order. */
  readonly completions: number;
  /** Columns of a record. */
  readonly width: number;
  /** The number of an example's first completions that are learned: token means cover these. */
  readonly learned: number;
  /** The number of an example's first completions that count as trained tokens; completions that only serve a baseline do not. */
  readonly counted: number;
  /** The role of each completion of an example; undefined for one that only serves a baseline. */
  sides(example: ExampleShape): readonly (Side | undefined)[];
}

const ALL = Number.POSITIVE_INFINITY;

const labelOf = ({ columns }: ExampleShape): Side => (columns?.desirable?.[0] === 0 ? 'rejected' : 'chosen');

const UNITS = {
  pair: {
    completions: 2,
    width: PAIR_RECORD.width,
    learned: 1,
    counted: 2,
    sides: () => ['chosen', 'rejected'],
  },
  example: {
    completions: 1,
    width: EXAMPLE_RECORD.width,
    learned: 1,
    counted: 1,
    sides: (example) => [labelOf(example)],
  },
  /** An example with another example's completion. */
  baseline: {
    completions: 2,
    width: EXAMPLE_RECORD.width,
    learned: 1,
    counted: 1,
    sides: (example) => [labelOf(example), undefined],
  },
  token: {
    completions: 1,
    width: TOKEN_RECORD.width,
    learned: ALL,
    counted: ALL,
    sides: ({ completions }) => completions.map(() => 'sampled'),
  },
} as const satisfies Readonly<Record<string, Unit>>;

/** The row of a loss. */
export function unitOf({ unit, baseline }: Pick<Loss, 'unit' | 'baseline'>): Unit {
  return UNITS[baseline ? 'baseline' : unit];
}

/** Number of records for some examples. */
export function recordsOf(examples: readonly ExampleShape[], { completions: each }: Unit): number {
  return examples.reduce((sum, { completions }) => sum + completions.length / each, 0);
}

/** The inputs of a divisor rule. Lengths are those of the learned completions. */
export interface DivisorContext {
  /** Of the micro-batch. */
  batch: readonly number[];
  /** Of the optimizer step. */
  step: readonly number[];
  /** Of the rollout batch that the step belongs to; default: the step's. */
  rollout?: readonly number[];
  /** The loss's options. */
  options: Readonly<Record<string, number>>;
}

/** Means each completion's own number of tokens. */
const OWN_TOKENS = 0;

export const DIVISORS = {
  /** Each completion's own number of tokens (GRPO). */
  sequence: () => OWN_TOKENS,
  /** The mean length in the micro-batch (TRL's direct losses; BNPO). */
  batch: ({ batch }) => mean(batch),
  /** The mean length in the optimizer step (SFT). */
  step: ({ step }) => mean(step),
  /** The mean length in the rollout batch (DAPO). */
  rollout: ({ step, rollout = step }) => mean(rollout),
  /** A constant length (Dr. GRPO). */
  constant: ({ options }) => options.maxCompletionLength ?? 1,
  /** No divisor: the sum itself (RLOO). */
  sum: () => 1,
} as const satisfies Readonly<Record<string, (context: DivisorContext) => number>>;

export type Divisor = keyof typeof DIVISORS;

/** Scored rows of each example's first `count` completions: their lengths, if targets are scored. */
export function lengthsOf(
  examples: readonly ExampleShape[],
  count: number,
  rows: ScoredRows = 'targets',
): number[] {
  return examples.flatMap((example) => scoredLengths(example, rows).slice(0, count));
}

function mean(lengths: readonly number[]): number {
  return lengths.reduce((sum, length) => sum + length, 0) / Math.max(1, lengths.length);
}
