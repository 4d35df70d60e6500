/**
 * What a run will need, before it starts: its largest step is recorded on a device that only counts, which gives the
 * bytes to hold against the user's cap and the kernels to compile.
 */
import type { TokenizedExample } from '../data/packing.ts';
import { MemoryCapError } from '../gpu/errors.ts';
import type { ParameterStore } from '../tensor/parameters.ts';
import type { TrainingConfig } from './config.ts';
import { Optimizer } from './optimizer.ts';
import { runBatch, type StepContext } from './step.ts';

/** Bytes that the run will hold at most; compiles its kernels. Throws {@link MemoryCapError}. */
export async function planRun(
  context: StepContext,
  parameters: ParameterStore,
  examples: readonly TokenizedExample[],
  config: TrainingConfig,
): Promise<number> {
  const { gpu } = context.model;
  const counting = gpu.countingCopy();
  const lossRows = ({ completions }: TokenizedExample) =>
    completions.reduce((n, { length }) => n + length, 0);
  const size = (example: TokenizedExample) => example.prompt.length + lossRows(example);
  const batch = [...examples].sort((a, b) => size(b) - size(a)).slice(0, config.perDeviceTrainBatchSize);
  const reference = batch.map((example) => new Float32Array(lossRows(example)));
  runBatch(counting, context, { examples: batch, reference }, { scale: 1 });
  new Optimizer(counting, parameters, config).step(1, 0);
  const bytes = gpu.memory().live + counting.memory().peak;
  if (bytes > gpu.pool.cap) throw new MemoryCapError(bytes, gpu.pool.cap, 'Training');
  await gpu.compile(counting.wantedPipelines);
  return bytes;
}
