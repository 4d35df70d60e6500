/**
 * What a pairwise objective writes for each pair, and under which of TRL's names it is logged. The layout is that of
 * `PairRecord` in `lib/pairwise.wgsl`. Works on the host, on arrays that were read late.
 */

/** Columns of a pair's record, and how many there are. */
export const RECORD = {
  loss: 0,
  /** β r₊ */
  chosenReward: 1,
  /** β r₋ */
  rejectedReward: 2,
  margin: 3,
  /** 1 where the chosen reward is larger; a tie is 0. */
  accuracy: 4,
  /** log π of the chosen completion, summed. */
  chosenLogp: 5,
  rejectedLogp: 6,
  /** Of both completions. */
  tokens: 7,
  width: 8,
} as const;

/** A metric's name and the column whose mean over the pairs it is. */
export type MetricColumns = Readonly<Record<string, number>>;

/** What objectives on rewards log, as TRL names it. */
export const REWARD_METRICS: MetricColumns = {
  loss: RECORD.loss,
  'rewards/chosen': RECORD.chosenReward,
  'rewards/rejected': RECORD.rejectedReward,
  'rewards/margins': RECORD.margin,
  'rewards/accuracies': RECORD.accuracy,
  'logps/chosen': RECORD.chosenLogp,
  'logps/rejected': RECORD.rejectedLogp,
};

/** records (P, 8) → the mean over the pairs of each metric, summed in float64. */
export function meanRecords(metrics: MetricColumns, records: Float32Array): Record<string, number> {
  const pairs = records.length / RECORD.width;
  const means = Object.entries(metrics).map(([name, column]): [string, number] => {
    let sum = 0;
    for (let at = column; at < records.length; at += RECORD.width) sum += records[at];
    return [name, sum / pairs];
  });
  return Object.fromEntries(means);
}
