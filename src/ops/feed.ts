/**
 * Ids and positions of the live sequences for a generation step, from the tokens chosen in the previous step.
 */
import shader from '../../shaders/decode/feed.wgsl';
import { kernels } from '../gpu/kernel.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type LiveSequences, ringOf } from './sample.ts';

export const feedKernels = kernels(shader, { forward: { threads: (p) => p.rows } });

/** The tokens of step − 1, or the prompts' last ones → ids (B) and positions (B), u32. */
export function feed(
  tape: Tape,
  { places, tokens }: LiveSequences,
  { step, vocabulary }: { step: number; vocabulary: number },
): { ids: Tensor; positions: Tensor } {
  const rows = places.rows;
  const ids = tape.empty([rows], 'fed ids', 'u32');
  const positions = tape.empty([rows], 'fed positions', 'u32');
  const params = { rows, vocabulary, step, ...ringOf(tokens) };
  feedKernels.forward(tape.gpu, { places, tokens, ids, positions }, params);
  return { ids, positions };
}
