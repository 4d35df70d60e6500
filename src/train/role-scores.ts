/** What a role that trains beside the policy says of given examples, without training on them: the values of a rollout. */
import { packExamples, type TokenizedExample } from '../data/packing.ts';
import { DeviceBatch } from '../model/batch.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import { Tape } from '../tensor/tape.ts';
import type { Role } from './roles.ts';
import type { BackwardSettings } from './scorer.ts';

export interface RoleScoreOptions extends BackwardSettings {
  /** Examples at a time. */
  batchSize: number;
}

/** For every completion of the examples in turn, the numbers of its scored rows. */
export async function roleScores(
  { gpu }: Pick<CausalLM, 'gpu'>,
  { scorer, play }: Role,
  examples: readonly TokenizedExample[],
  { batchSize, ...settings }: RoleScoreOptions,
): Promise<Float32Array[]> {
  const all: Float32Array[] = [];
  for (let start = 0; start < examples.length; start += batchSize) {
    const packed = packExamples(examples.slice(start, start + batchSize), { rows: scorer.rows });
    const batch = new DeviceBatch(gpu, packed);
    const tape = Tape.forInference(gpu);
    const reading = gpu.read(play(() => scorer.score(tape, batch, settings)).values);
    tape.dispose();
    batch.dispose();
    const values = new Float32Array(await reading);
    const { sequenceOffsets } = packed;
    const [, ...ends] = sequenceOffsets;
    all.push(...ends.map((end, s) => values.slice(sequenceOffsets[s], end)));
  }
  return all;
}
