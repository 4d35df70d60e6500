/**
 * What an objective writes for each of its records, and under which of TRL's names it is logged. The layouts are those
 * of `PairRecord`, `ExampleRecord` and `TokenRecord` in `shaders/lib`. Works on the host, on arrays that were read late.
 */

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
 * A metric by name: the column whose mean it is, or a column and another whose values weigh it: [reward, desirable] is
 * the mean reward of the desirable ones.
 */
export type MetricColumns = Readonly<Record<string, number | readonly [value: number, weight: number]>>;

/** What objectives on pairs log, as TRL names it. */
export const PAIR_METRICS: MetricColumns = {
  loss: PAIR_RECORD.loss,
  'rewards/chosen': PAIR_RECORD.chosenReward,
  'rewards/rejected': PAIR_RECORD.rejectedReward,
  'rewards/margins': PAIR_RECORD.margin,
  'rewards/accuracies': PAIR_RECORD.accuracy,
  'logps/chosen': PAIR_RECORD.chosenLogp,
  'logps/rejected': PAIR_RECORD.rejectedLogp,
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

/** records (n, width) → the mean of each metric, summed in float64; one over nothing is left out. */
export function recordMeans(
  metrics: MetricColumns,
  records: Float32Array,
  width: number,
): Record<string, WeightedMean> {
  const means: Record<string, WeightedMean> = {};
  for (const [name, columns] of Object.entries(metrics)) {
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

/** The values alone. */
export function valuesOf(means: Readonly<Record<string, WeightedMean>>): Record<string, number> {
  return Object.fromEntries(Object.entries(means).map(([name, { value }]) => [name, value]));
}
