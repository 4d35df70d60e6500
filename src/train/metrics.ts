/**
 * Computes TRL's metrics from the results of a batch on the device. Works on the host, in float64,
 * on arrays that were read late. Loss and rewards come from the loss's own records; this file contains no formula of a loss.
 */

import type { ExampleShape } from '../data/packing.ts';
import {
  lengthsOf,
  type MetricColumn,
  type MetricColumns,
  recordMeans,
  recordsOf,
  type Side,
  type Unit,
  type WeightedMean,
  withMargins,
} from '../losses/units.ts';
import { STATS_WIDTH } from '../ops/token-logprob.ts';
import type { Metrics } from './events.ts';
import type { SourcedStep } from './source.ts';

/** Results of one batch of n records with S completions and R scored rows. */
export interface BatchReadback {
  /** (n, width): the loss's records. */
  records: Float32Array;
  /** (R) log-probabilities, or other scores. */
  values: Float32Array;
  /** (R, 3), as in {@link TokenLogprobs}; only for log-probabilities. */
  stats?: Float32Array | undefined;
  /** (R); only for log-probabilities. */
  logitMeans?: Float32Array | undefined;
  /** (R); undefined without a reference. */
  reference?: Float32Array | undefined;
  /** (S + 1) */
  sequenceOffsets: Uint32Array;
}

/** The metric name of the mean log-ratio of a side's completions. */
const LOG_RATIOS: Readonly<Record<Side, string>> = {
  chosen: 'log_ratio/chosen',
  rejected: 'log_ratio/rejected',
  sampled: 'kl/sequence',
};

/** Means of one batch, each with its weight for combining batches. */
export type BatchMeans = Readonly<Record<string, WeightedMean>>;

/**
 * TRL's metrics. Sequence sums for `logps`, token means for `logits`, `entropy` and `mean_token_accuracy` (only the
 * chosen completion). With a reference, also the mean of log π − log π_ref in nats per completion: `log_ratio/chosen` and
 * `log_ratio/rejected`, above 0 if the policy has made them more likely. Only for samples of the policy is this mean an
 * estimate of KL(π ‖ π_ref) (k1), and then it is called `kl/sequence`.
 */
export function batchMeans(
  batch: BatchReadback,
  columns: MetricColumns,
  width: number,
  sides: readonly (Side | undefined)[],
): BatchMeans {
  const { records, values, stats, logitMeans, reference, sequenceOffsets } = batch;
  const count = records.length / width;
  const own = recordMeans(columns, records, width);
  const rowsOf = (wanted: (side: Side | undefined) => boolean) =>
    sides.flatMap((side, s) => (wanted(side) ? range(sequenceOffsets[s], sequenceOffsets[s + 1]) : []));
  const all = rowsOf((side) => side !== undefined);
  const chosen = rowsOf((side) => side === 'chosen');
  const rejected = rowsOf((side) => side === 'rejected');
  const means: Record<string, WeightedMean> = {};
  const log = (name: string, rows: readonly number[], value: (row: number) => number, over = rows.length) => {
    if (rows.length > 0) means[name] = { value: sum(rows, value) / over, weight: count };
  };
  if (logitMeans) {
    log('logits/chosen', chosen, (row) => logitMeans[row]);
    log('logits/rejected', rejected, (row) => logitMeans[row]);
  }
  if (stats) {
    log('mean_token_accuracy', chosen, (row) => stats[STATS_WIDTH * row + 1]);
    log('entropy', all, (row) => stats[STATS_WIDTH * row]);
  }
  if (reference) {
    for (const [wanted, name] of Object.entries(LOG_RATIOS)) {
      const completions = sides.filter((side) => side === wanted).length;
      const rows = rowsOf((side) => side === wanted);
      log(name, rows, (row) => values[row] - reference[row], completions);
    }
  }
  return { ...means, ...own };
}

/** The metrics of examples whose loss and gradient are known to be zero, without computing them. */
export function silentMeans(
  columns: MetricColumns,
  examples: readonly ExampleShape[],
  unit: Unit,
): BatchMeans {
  const records = recordsOf(examples, unit);
  if (records === 0) return {};
  const tokens = lengthsOf(examples, unit.learned).reduce((sum, length) => sum + length, 0);
  const isWeighed = (column: MetricColumn) => Array.isArray(column);
  return Object.fromEntries(
    Object.entries(columns).map(([name, column]) => [
      name,
      { value: 0, weight: isWeighed(column) ? tokens : records },
    ]),
  );
}

/** The means of a batch in several roles: the metrics of all, and the weighted sum of their losses. */
export function joinRoles(roles: readonly { weight: number; means: BatchMeans }[]): BatchMeans {
  const [first] = roles;
  const joined: BatchMeans = Object.assign({}, ...roles.map(({ means }) => means));
  const loss = first?.means.loss;
  if (!loss) return joined;
  const value = sum(roles, ({ weight, means }) => weight * (means.loss?.value ?? 0));
  return { ...joined, loss: { ...loss, value } };
}

/** The means of several batches combined, each by its weight. */
export function joinMeans(parts: readonly BatchMeans[]): Metrics {
  const names = new Set(parts.flatMap((part) => Object.keys(part)));
  const joined = [...names].map((name): [string, number] => {
    const given = parts.flatMap((part) => part[name] ?? []);
    const weight = sum(given, (mean) => mean.weight);
    return [name, sum(given, (mean) => mean.value * mean.weight) / weight];
  });
  return withMargins(Object.fromEntries(joined));
}

/** The metrics of a step: the means of its batches, those of its source, and those derived from the means. */
export function stepMetrics(
  parts: readonly BatchMeans[],
  { metrics, derive }: Pick<SourcedStep, 'metrics' | 'derive'>,
): Metrics {
  const means = joinMeans(parts);
  const all = Object.entries({ ...means, ...metrics, ...derive?.(means) });
  // JSON in a checkpoint has no −0.
  return Object.fromEntries(all.flatMap(([name, value]) => (value === undefined ? [] : [[name, value + 0]])));
}

/** The same metrics under TRL's prefix for evaluations. */
export function evalMetrics(metrics: Metrics): Metrics {
  return Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`eval_${name}`, value]));
}

/**
 * An accuracy for display, from the metric and the mean margin. Undefined if no pair has a margin, for example before the first
 * update, when policy and reference are equal: TRL's metric is 0 then, although nothing was compared.
 */
export function comparedAccuracy(
  accuracy: number | undefined,
  margin: number | undefined,
): number | undefined {
  return accuracy === 0 && margin === 0 ? undefined : accuracy;
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}
