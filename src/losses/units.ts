/**
 * What a loss may be about, as data: pairs, single completions, tokens. For each: how many completions make a record, what
 * every one of them is for, what the record holds and under which of TRL's names it is logged, and what divides sums over
 * tokens. The layouts are those of `PairRecord`, `ExampleRecord` and `TokenRecord` in `shaders/lib`. Works on the host, on
 * arrays that were read late.
 */
import type { ExampleShape } from '../data/packing.ts';
import type { Loss } from './catalogue.ts';

/** Columns of a pair's record, and how many there are. */
export const PAIR_RECORD = {
  loss: 0,
  /** β r₊, or what the formula calls reward. */
  chosenReward: 1,
  rejectedReward: 2,
  margin: 3,
  /** 1 where the chosen reward is larger; a tie is 0. */
  accuracy: 4,
  /** log π of the chosen completion, summed. */
  chosenLogp: 5,
  rejectedLogp: 6,
  chosenTokens: 7,
  rejectedTokens: 8,
  /** Cross-entropy of the chosen completion, a token. */
  nll: 9,
  weight: 10,
  /** The formula's own figures. */
  firstNote: 11,
  secondNote: 12,
  width: 13,
} as const;

/** Columns of a labelled completion's record, and how many there are. */
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

/** Columns of the record that a loss on tokens writes for each completion, and how many there are. */
export const TOKEN_RECORD = {
  loss: 0,
  tokens: 1,
  /** log π of the completion, summed. */
  logp: 2,
  /** The formula's own figures, means over the tokens. */
  firstNote: 3,
  secondNote: 4,
  thirdNote: 5,
  fourthNote: 6,
  width: 7,
} as const;

/**
 * A metric by name: the column whose mean it is; a column and another whose values weigh it: [reward, desirable] is the mean
 * reward of the desirable ones; or the extreme of some columns in a batch.
 */
export type MetricColumns = Readonly<
  Record<string, number | readonly [value: number, weight: number] | Extreme>
>;

interface Extreme {
  readonly extreme: 'min' | 'max';
  readonly of: readonly number[];
}

/** What losses on pairs log, as TRL names it. */
export const PAIR_METRICS: MetricColumns = {
  loss: PAIR_RECORD.loss,
  'rewards/chosen': PAIR_RECORD.chosenReward,
  'rewards/rejected': PAIR_RECORD.rejectedReward,
  'rewards/margins': PAIR_RECORD.margin,
  'rewards/accuracies': PAIR_RECORD.accuracy,
  'logps/chosen': PAIR_RECORD.chosenLogp,
  'logps/rejected': PAIR_RECORD.rejectedLogp,
};

/** What reward models log, as TRL names it. */
export const REWARD_METRICS: MetricColumns = {
  loss: PAIR_RECORD.loss,
  min_reward: { extreme: 'min', of: [PAIR_RECORD.chosenReward, PAIR_RECORD.rejectedReward] },
  mean_reward: PAIR_RECORD.firstNote,
  max_reward: { extreme: 'max', of: [PAIR_RECORD.chosenReward, PAIR_RECORD.rejectedReward] },
  accuracy: PAIR_RECORD.accuracy,
  margin: PAIR_RECORD.margin,
};

/** What KTO logs; `rewards/margins` is the difference of the two means. */
export const KTO_METRICS: MetricColumns = {
  loss: EXAMPLE_RECORD.loss,
  kl: EXAMPLE_RECORD.kl,
  'rewards/chosen': [EXAMPLE_RECORD.reward, EXAMPLE_RECORD.desirable],
  'rewards/rejected': [EXAMPLE_RECORD.reward, EXAMPLE_RECORD.undesirable],
  'logps/chosen': [EXAMPLE_RECORD.logp, EXAMPLE_RECORD.desirable],
  'logps/rejected': [EXAMPLE_RECORD.logp, EXAMPLE_RECORD.undesirable],
};

/** A mean and the weight of what it is a mean of, so that means of several batches can be joined. */
export interface WeightedMean {
  value: number;
  weight: number;
}

/** records (n, width) → the mean of each metric, summed in float64, or its extreme; one over nothing is left out. */
export function recordMeans(
  metrics: MetricColumns,
  records: Float32Array,
  width: number,
): Record<string, WeightedMean> {
  const means: Record<string, WeightedMean> = {};
  for (const [name, columns] of Object.entries(metrics)) {
    if (typeof columns === 'object' && 'extreme' in columns) {
      const count = records.length / width;
      if (count > 0) means[name] = { value: extremeOf(columns, records, width), weight: count };
      continue;
    }
    const [value, weight] = typeof columns === 'number' ? [columns, undefined] : columns;
    let sum = 0;
    let total = 0;
    for (let row = 0; row < records.length; row += width) {
      const share = weight === undefined ? 1 : (records[row + weight] as number);
      sum += share * (records[row + value] as number);
      total += share;
    }
    if (total > 0) means[name] = { value: sum / total, weight: total };
  }
  return means;
}

function extremeOf({ extreme, of }: Extreme, records: Float32Array, width: number): number {
  const values = [...records].filter((_, i) => of.includes(i % width));
  return values.reduce((a, b) => Math[extreme](a, b));
}

/** The values alone. */
export function valuesOf(means: Readonly<Record<string, WeightedMean>>): Record<string, number> {
  return Object.fromEntries(Object.entries(means).map(([name, { value }]) => [name, value]));
}

/** What a completion is in the metrics: one side of a comparison, or a sample of the policy. */
export type Side = 'chosen' | 'rejected' | 'sampled';

export interface Unit {
  /** Completions that make a record; records are made of an example's completions in turn. */
  readonly completions: number;
  /** Columns of a record. */
  readonly width: number;
  /** An example's first so many completions are learned: token means are over them. */
  readonly learned: number;
  /** An example's first so many completions are counted as trained tokens; what only serves a baseline is not. */
  readonly counted: number;
  /** What each completion of an example is; undefined for one that only serves a baseline. */
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
  /** An example that brings another's completion along. */
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

/** Records that some examples make. */
export function recordsOf(examples: readonly ExampleShape[], { completions: each }: Unit): number {
  return examples.reduce((sum, { completions }) => sum + completions.length / each, 0);
}

/** What a rule may look at. Lengths are those of the completions that are learned. */
export interface DivisorContext {
  /** Of the micro-batch. */
  batch: readonly number[];
  /** Of the optimizer step. */
  step: readonly number[];
  /** The loss's options. */
  options: Readonly<Record<string, number>>;
}

/** Stands for each completion's own number of tokens. */
const OWN_TOKENS = 0;

export const DIVISORS = {
  /** Each completion's own number of tokens (GRPO). */
  sequence: () => OWN_TOKENS,
  /** The mean length in the micro-batch (TRL's direct losses; BNPO). */
  batch: ({ batch }) => mean(batch),
  /** The mean length in the optimizer step (SFT; DAPO). */
  step: ({ step }) => mean(step),
  /** A length that is the same in every step (Dr. GRPO). */
  constant: ({ options }) => options.maxCompletionLength ?? 1,
  /** Nothing: the sum itself counts (RLOO). */
  sum: () => 1,
} as const satisfies Readonly<Record<string, (context: DivisorContext) => number>>;

export type Divisor = keyof typeof DIVISORS;

/** Lengths of an example's first `count` completions. */
export function lengthsOf(examples: readonly ExampleShape[], count: number): number[] {
  return examples.flatMap(({ completions }) => completions.slice(0, count).map(({ length }) => length));
}

function mean(lengths: readonly number[]): number {
  return lengths.reduce((sum, length) => sum + length, 0) / Math.max(1, lengths.length);
}
