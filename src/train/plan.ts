/**
 * What a run will need, before it starts: its largest step and its largest batch to score are recorded on a device that
 * only counts, which gives the bytes to hold against the user's cap and the kernels to compile.
 */
import type { TokenizedExample } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import { MemoryCapError } from '../gpu/errors.ts';
import { requireVariants } from '../ops/variants.ts';
import type { ParameterStore } from '../tensor/parameters.ts';
import type { TrainingConfig } from './config.ts';
import type { RunPlan } from './events.ts';
import { Optimizer } from './optimizer.ts';
import { runBatch, type StepContext } from './step.ts';
import type { Task } from './task.ts';

/** What the run will need. Measures kernels where that is still to be done, and compiles. Throws {@link MemoryCapError}. */
export async function planRun(
  context: StepContext,
  parameters: ParameterStore,
  { train, evaluation }: Pick<Task<TrainingConfig>, 'train' | 'evaluation'>,
  config: TrainingConfig,
): Promise<Pick<RunPlan, 'plannedBytes' | 'variants' | 'tuning'>> {
  const { gpu } = context.model;
  requireVariants(gpu);
  const rehearse = () => {
    const counting = gpu.countingCopy();
    largestStep(counting, context, parameters, train, config);
    return counting;
  };
  let counting = rehearse();
  // What is only scored comes in batches of their own size: rows held out, and all rows for a reference.
  const scoring = gpu.countingCopy();
  const scored = longest(
    context.reference ? [...train, ...evaluation] : evaluation,
    config.perDeviceEvalBatchSize,
  );
  if (scored.length > 0) runBatch(scoring, context, scored);
  const bytes = gpu.memory().live + Math.max(counting.memory().peak, scoring.memory().peak);
  // Shorter batches may be of other classes of shapes.
  if (gpu.tuner) {
    const shortest = bySize(train).slice(-config.perDeviceTrainBatchSize);
    runBatch(gpu.countingCopy(), context, shortest, { scale: 1 });
  }
  if (bytes > gpu.pool.cap) throw new MemoryCapError(bytes, gpu.pool.cap, 'Training');
  const tuning = await gpu.tuner?.tune(gpu);
  if (tuning) counting = rehearse();
  await gpu.compile(counting.wantedPipelines);
  return { plannedBytes: bytes, variants: Object.fromEntries(gpu.variants.inForce), tuning };
}

/** The step on the longest examples that there are, on a counting device. */
export function largestStep(
  counting: Gpu,
  context: StepContext,
  parameters: ParameterStore,
  examples: readonly TokenizedExample[],
  config: TrainingConfig,
): void {
  runBatch(counting, context, longest(examples, config.perDeviceTrainBatchSize), { scale: 1 });
  new Optimizer(counting, parameters, config).step(1, 0);
  context.reference?.stepped(0, counting);
}

function longest(examples: readonly TokenizedExample[], count: number): TokenizedExample[] {
  return bySize(examples).slice(0, count);
}

/** The longest first. */
function bySize(examples: readonly TokenizedExample[]): TokenizedExample[] {
  const size = ({ prompt, completions }: TokenizedExample) =>
    completions.reduce((n, { length }) => n + length, prompt.length);
  return [...examples].sort((a, b) => size(b) - size(a));
}
