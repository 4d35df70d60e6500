/**
 * What a run will need, before it starts: its largest step and its largest batch to score are recorded on a device that
 * only counts, which gives the bytes to hold against the user's cap and the kernels to compile.
 */
import type { TokenizedExample } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import { MemoryCapError } from '../gpu/errors.ts';
import type { ParameterStore } from '../tensor/parameters.ts';
import type { TrainingConfig } from './config.ts';
import { Optimizer } from './optimizer.ts';
import { runBatch, type StepContext } from './step.ts';
import type { Task } from './task.ts';

/** Bytes that the run will hold at most; compiles its kernels. Throws {@link MemoryCapError}. */
export async function planRun(
  context: StepContext,
  parameters: ParameterStore,
  { train, evaluation }: Pick<Task<TrainingConfig>, 'train' | 'evaluation'>,
  config: TrainingConfig,
): Promise<number> {
  const { gpu } = context.model;
  const counting = gpu.countingCopy();
  largestStep(counting, context, parameters, train, config);
  // What is only scored comes in batches of their own size: rows held out, and all rows for a reference.
  const scoring = gpu.countingCopy();
  const scored = longest(
    context.reference ? [...train, ...evaluation] : evaluation,
    config.perDeviceEvalBatchSize,
  );
  if (scored.length > 0) runBatch(scoring, context, scored);
  const bytes = gpu.memory().live + Math.max(counting.memory().peak, scoring.memory().peak);
  if (bytes > gpu.pool.cap) throw new MemoryCapError(bytes, gpu.pool.cap, 'Training');
  await gpu.compile(counting.wantedPipelines);
  return bytes;
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
  const size = ({ prompt, completions }: TokenizedExample) =>
    completions.reduce((n, { length }) => n + length, prompt.length);
  return [...examples].sort((a, b) => size(b) - size(a)).slice(0, count);
}
