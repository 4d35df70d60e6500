/** Optimizer steps that are recorded, with metrics that have not arrived yet. */
import type { TokenizedExample } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import type { TrainingLoss } from '../losses/family.ts';
import type { Metrics } from './events.ts';
import { type BatchMeans, silentMeans, stepMetrics } from './metrics.ts';
import type { SourcedStep } from './source.ts';
import type { RunState } from './state.ts';

/** Maximum number of steps with pending metrics. */
export const METRICS_LATE = 2;

export interface PendingStep {
  step: number;
  tokens: number;
  metrics: Promise<Metrics>;
  /** Its first micro-batch. */
  first: readonly TokenizedExample[];
  /** The run's counters before and after it. */
  before: Counted;
  after: Counted;
}

type Counted = Pick<RunState, 'step' | 'tokens' | 'numTokens'>;

/** The metrics of a step, from the means of its micro-batches. */
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
  // If the device is lost, this rejects before anyone awaits it; later awaits still get the error.
  metrics.catch(() => undefined);
  return metrics;
}

/** Submits recorded work and waits for a step's metrics. */
export function metricsOf(gpu: Gpu, { metrics }: PendingStep): Promise<Metrics> {
  gpu.recorder.flush();
  return gpu.settle(metrics);
}

/** Whether the step changed the weights: a non-finite step leaves them unchanged. */
export function areFinite({ loss, grad_norm: norm }: Metrics): boolean {
  return Number.isFinite(loss) && Number.isFinite(norm);
}
