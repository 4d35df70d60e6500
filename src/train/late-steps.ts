/** Optimizer steps that are recorded and whose metrics are on their way. */
import type { TokenizedExample } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import type { TrainingLoss } from '../losses/family.ts';
import type { Metrics } from './events.ts';
import { type BatchMeans, silentMeans, stepMetrics } from './metrics.ts';
import type { SourcedStep } from './source.ts';
import type { RunState } from './state.ts';

/** Steps whose metrics may be on their way. */
export const METRICS_LATE = 2;

export interface PendingStep {
  step: number;
  tokens: number;
  metrics: Promise<Metrics>;
  /** Its first micro-batch. */
  first: readonly TokenizedExample[];
  /** What the run had counted before it, and with it. */
  before: Counted;
  after: Counted;
}

type Counted = Pick<RunState, 'step' | 'tokens' | 'numTokens'>;

/** The metrics of a step, of the means of its micro-batches as they come. */
export function lateMetrics(
  loss: TrainingLoss,
  sourced: SourcedStep,
  late: { means: readonly Promise<BatchMeans>[]; norm: Promise<number>; rate: number; numTokens: number },
): Promise<Metrics> {
  const { means, norm, rate, numTokens } = late;
  const metrics = Promise.all([Promise.all(means), norm]).then(([parts, gradNorm]) => ({
    ...stepMetrics([...parts, silentMeans(loss.metrics, sourced.silent ?? [], loss.unit)], sourced),
    grad_norm: gradNorm,
    learning_rate: rate,
    num_tokens: numTokens,
  }));
  // A lost device rejects it before anyone waits; whoever waits still gets the error.
  metrics.catch(() => undefined);
  return metrics;
}

/** Submits what is recorded and waits for a step's metrics. */
export function metricsOf(gpu: Gpu, { metrics }: PendingStep): Promise<Metrics> {
  gpu.recorder.flush();
  return gpu.settle(metrics);
}

/** Whether the step changed the weights: what is not finite leaves them alone. */
export function areFinite({ loss, grad_norm: norm }: Metrics): boolean {
  return Number.isFinite(loss) && Number.isFinite(norm);
}
