/**
 * Scores of given examples by a role, without training: the values of a rollout, and the policy's scores of
 * held-out completions.
 */
import { type PackedBatch, packExamples, type TokenizedExample } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Side } from '../losses/units.ts';
import { DeviceBatch } from '../model/batch.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Role } from './roles.ts';
import type { BackwardSettings } from './scorer.ts';
import { largestBatch } from './source.ts';

export interface RoleScoreOptions extends BackwardSettings {
  /** Batch size. */
  batchSize: number;
}

/** The scores of the rows of every completion, in order. */
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

/** The score of a completion by a role. */
export interface CompletionScore {
  side: Side;
  /** Sum over the scored rows: log π of the completion in nats, or a reward model's score. */
  value: number;
  /** Number of tokens of the completion. */
  tokens: number;
}

/** One score per completion, in order; completions that only serve a baseline are left out. */
export async function completionScores(
  model: Pick<CausalLM, 'gpu'>,
  role: Role,
  examples: readonly TokenizedExample[],
  options: RoleScoreOptions,
): Promise<CompletionScore[]> {
  const rows = await roleScores(model, role, examples, options);
  const all = examples.flatMap((example) => {
    const sides = role.loss.unit.sides(example);
    return example.completions.map(({ length }, i) => ({ side: sides[i], tokens: length }));
  });
  return all.flatMap(({ side, tokens }, i) => {
    const value = rows[i].reduce((sum, each) => sum + each, 0);
    return side ? [{ side, value, tokens }] : [];
  });
}

/** Rehearses the largest of these batches on a counting device. */
export function rehearseRoleScores(
  gpu: Gpu,
  role: Pick<Role, 'scorer' | 'play'>,
  examples: readonly TokenizedExample[],
  { batchSize, ...settings }: RoleScoreOptions,
): void {
  const packed = packExamples(largestBatch(examples, batchSize), { rows: role.scorer.rows });
  withValues(gpu, role, packed, settings, () => {});
}

/** Records a batch; `use` gets its tensors before they are released. */
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
