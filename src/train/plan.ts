/**
 * What a run will need, before it starts: its largest step is recorded on a device that only counts, which gives the
 * bytes to hold against the user's cap and the kernels to compile.
 */
import type { TokenizedPair } from '../data/packing.ts';
import { MemoryCapError } from '../gpu/errors.ts';
import type { ParameterStore } from '../tensor/parameters.ts';
import type { TrainingConfig } from './config.ts';
import { Optimizer } from './optimizer.ts';
import { type PairStepContext, runPairs } from './pair-step.ts';

/** Bytes that the run will hold at most; compiles its kernels. Throws {@link MemoryCapError}. */
export async function planRun(
  context: PairStepContext,
  parameters: ParameterStore,
  pairs: readonly TokenizedPair[],
  config: TrainingConfig,
): Promise<number> {
  const { gpu } = context.model;
  const counting = gpu.countingCopy();
  const size = ({ prompt, chosen, rejected }: TokenizedPair) =>
    prompt.length + chosen.length + rejected.length;
  const batch = [...pairs].sort((a, b) => size(b) - size(a)).slice(0, config.perDeviceTrainBatchSize);
  const reference = batch.map(({ chosen, rejected }) => new Float32Array(chosen.length + rejected.length));
  runPairs(counting, context, { pairs: batch, reference }, 1);
  new Optimizer(counting, parameters, config).step(1, 0);
  const bytes = gpu.memory().live + counting.memory().peak;
  if (bytes > gpu.pool.cap) throw new MemoryCapError(bytes, gpu.pool.cap, 'Training');
  await gpu.compile(counting.wantedPipelines);
  return bytes;
}
