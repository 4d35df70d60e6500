/** What a role that trains beside the policy says of given examples, without training on them: the values of a rollout. */
import { type PackedBatch, packExamples, type TokenizedExample } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import { DeviceBatch } from '../model/batch.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Role } from './roles.ts';
import type { BackwardSettings } from './scorer.ts';
import { largestBatch } from './source.ts';

export interface RoleScoreOptions extends BackwardSettings {
  /** Examples at a time. */
  batchSize: number;
}

/** For every completion of the examples in turn, the numbers of its scored rows. */
export async function roleScores(
  { gpu }: Pick<CausalLM, 'gpu'>,
  { scorer, play }: Pick<Role, 'scorer' | 'play'>,
  examples: readonly TokenizedExample[],
  { batchSize, ...settings }: RoleScoreOptions,
): Promise<Float32Array[]> {
  const all: Float32Array[] = [];
  for (let start = 0; start < examples.length; start += batchSize) {
    const packed = packExamples(examples.slice(start, start + batchSize), { rows: scorer.rows });
    const reading = withValues(gpu, { scorer, play }, packed, settings, (values) => gpu.read(values));
    const values = new Float32Array(await reading);
    const { sequenceOffsets } = packed;
    const [, ...ends] = sequenceOffsets;
    all.push(...ends.map((end, s) => values.slice(sequenceOffsets[s], end)));
  }
  return all;
}

/** Goes through the largest batch of these, on a device that only counts. */
export function rehearseRoleScores(
  gpu: Gpu,
  role: Pick<Role, 'scorer' | 'play'>,
  examples: readonly TokenizedExample[],
  { batchSize, ...settings }: RoleScoreOptions,
): void {
  const packed = packExamples(largestBatch(examples, batchSize), { rows: role.scorer.rows });
  withValues(gpu, role, packed, settings, () => {});
}

/** Records a batch; `use` sees its numbers before they are released. */
function withValues<T>(
  gpu: Gpu,
  { scorer, play }: Pick<Role, 'scorer' | 'play'>,
  packed: PackedBatch,
  settings: BackwardSettings,
  use: (values: Tensor) => T,
): T {
  const batch = new DeviceBatch(gpu, packed);
  const tape = Tape.forInference(gpu);
  const result = use(play(() => scorer.score(tape, batch, settings)).values);
  tape.dispose();
  batch.dispose();
  return result;
}
