/**
 * From what a batch left on the device to the numbers that TRL logs, under TRL's names. Works on the host, in float64,
 * on arrays that were read late. The loss and the rewards come from the objective's own records; no formula of it
 * stands here.
 */
import { RECORD } from '../objectives/pairwise.ts';
import type { Metrics } from './events.ts';

/** Read back for one batch of P pairs with S = 2P sequences and R loss rows. */
export interface BatchReadback {
  /** (P, RECORD.width): what the objective wrote for each pair. */
  records: Float32Array;
  /** (R) */
  logprobs: Float32Array;
  /** (R, 2): entropy, correct */
  stats: Float32Array;
  /** (R) */
  logitMeans: Float32Array;
  /** (R) */
  reference: Float32Array;
  /** (S + 1) */
  sequenceOffsets: Uint32Array;
}

/** Metrics of one batch, with the number of pairs they stand for. */
export interface WeightedMetrics {
  metrics: Metrics;
  pairs: number;
}

/**
 * TRL's metrics. Sequence sums for `logps`, token means for `logits`, `entropy` and `mean_token_accuracy` (chosen
 * alone). `kl` (k1) and `kl/k3` are Schulman's estimators per sequence, on the batch's completions.
 */
export function batchMetrics(batch: BatchReadback): WeightedMetrics {
  const { records, logprobs, stats, logitMeans, reference, sequenceOffsets } = batch;
  const pairs = records.length / RECORD.width;
  const column = (index: number) => mean(pairs, (p) => records[p * RECORD.width + index] as number);
  const total = logprobs.length;
  const isChosen = sideOfRows(sequenceOffsets, total);
  const overRows = (side: 0 | 1, value: (row: number) => number) => {
    let sum = 0;
    let count = 0;
    for (let row = 0; row < total; row++) {
      if (isChosen[row] !== side) continue;
      sum += value(row);
      count++;
    }
    return sum / count;
  };
  let k1 = 0;
  let k3 = 0;
  let entropy = 0;
  for (let row = 0; row < total; row++) {
    const difference = (reference[row] as number) - (logprobs[row] as number);
    k1 -= difference;
    k3 += Math.expm1(difference) - difference;
    entropy += stats[2 * row] as number;
  }
  return {
    pairs,
    metrics: {
      loss: column(RECORD.loss),
      'rewards/chosen': column(RECORD.chosenReward),
      'rewards/rejected': column(RECORD.rejectedReward),
      'rewards/margins': column(RECORD.margin),
      'rewards/accuracies': column(RECORD.accuracy),
      'logps/chosen': column(RECORD.chosenLogp),
      'logps/rejected': column(RECORD.rejectedLogp),
      'logits/chosen': overRows(1, (row) => logitMeans[row] as number),
      'logits/rejected': overRows(0, (row) => logitMeans[row] as number),
      mean_token_accuracy: overRows(1, (row) => stats[2 * row + 1] as number),
      entropy: entropy / total,
      kl: k1 / (2 * pairs),
      'kl/k3': k3 / (2 * pairs),
    },
  };
}

/** The mean of several batches' metrics, each by its pairs. */
export function meanMetrics(parts: readonly WeightedMetrics[]): Metrics {
  const pairs = parts.reduce((sum, part) => sum + part.pairs, 0);
  const names = Object.keys(parts[0]?.metrics ?? {});
  return Object.fromEntries(
    names.map((name) => [
      name,
      parts.reduce((sum, part) => sum + (part.metrics[name] as number) * part.pairs, 0) / pairs,
    ]),
  );
}

/** The same metrics under TRL's prefix for evaluations. */
export function evalMetrics(metrics: Metrics): Metrics {
  return Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`eval_${name}`, value]));
}

/** 1 for a row of a chosen completion, 0 for one of a rejected. */
function sideOfRows(sequenceOffsets: Uint32Array, rows: number): Uint8Array {
  const side = new Uint8Array(rows);
  for (let s = 0; s + 1 < sequenceOffsets.length; s += 2) {
    side.fill(1, sequenceOffsets[s], sequenceOffsets[s + 1]);
  }
  return side;
}

function mean(count: number, value: (index: number) => number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += value(i);
  return sum / count;
}
