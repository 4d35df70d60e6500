/**
 * What a run will need, before it starts: its largest step, its largest batch to score and what its source does by itself
 * are recorded on a device that only counts, which gives the bytes to hold against the user's cap and the kernels to
 * compile.
 */
import type { Gpu } from '../gpu/device.ts';
import { MemoryCapError } from '../gpu/errors.ts';
import { requireVariants } from '../ops/variants.ts';
import type { ParameterStore } from '../tensor/parameters.ts';
import type { TrainingConfig } from './config.ts';
import type { RunPlan } from './events.ts';
import { Optimizer } from './optimizer.ts';
import { bySize, type ExampleSource } from './source.ts';
import { runBatch, type StepContext } from './step.ts';
import type { Task } from './task.ts';

/** What the run will need. Measures kernels where that is still to be done, and compiles. Throws {@link MemoryCapError}. */
export async function planRun(
  context: StepContext,
  parameters: ParameterStore,
  { source, evaluation }: Pick<Task<TrainingConfig>, 'source' | 'evaluation'>,
  config: TrainingConfig,
): Promise<Pick<RunPlan, 'plannedBytes' | 'variants' | 'tuning'>> {
  const { gpu } = context.model;
  requireVariants(gpu);
  const rehearse = () => {
    const counting = gpu.countingCopy();
    largestStep(counting, context, parameters, source, config);
    return counting;
  };
  let counting = rehearse();
  // What is only scored comes in batches of their own size: rows held out, and all rows for a reference.
  const scoring = gpu.countingCopy();
  const { perDeviceEvalBatchSize } = config;
  const trained = context.reference ? source.largest(perDeviceEvalBatchSize) : [];
  const scored = bySize([...trained, ...evaluation.largest()]).slice(0, perDeviceEvalBatchSize);
  if (scored.length > 0) runBatch(scoring, context, scored);
  const own = source.rehearse?.();
  const peaks = [counting, scoring].map((each) => each.memory().peak);
  const bytes = gpu.memory().live + Math.max(...peaks, own?.bytes ?? 0);
  if (gpu.tuner) {
    const shortest = source.shortest(source.batchSize);
    runBatch(gpu.countingCopy(), context, shortest, shortest);
  }
  if (bytes > gpu.pool.cap) throw new MemoryCapError(bytes, gpu.pool.cap, 'Training');
  const tuning = await gpu.tuner?.tune(gpu);
  if (tuning) counting = rehearse();
  await gpu.compile([...counting.wantedPipelines, ...(own?.pipelines ?? [])]);
  return { plannedBytes: bytes, variants: Object.fromEntries(gpu.variants.inForce), tuning };
}

/** The step on the longest examples that may come, on a counting device. */
export function largestStep(
  counting: Gpu,
  context: StepContext,
  parameters: ParameterStore,
  source: ExampleSource,
  config: TrainingConfig,
): void {
  const largest = source.largest(source.batchSize);
  runBatch(counting, context, largest, largest);
  new Optimizer(counting, parameters, config).step(1, 0);
  context.reference?.stepped(0, counting);
}
