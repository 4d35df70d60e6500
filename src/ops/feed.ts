/**
 * Ids and positions of the live sequences for a generation step, from the tokens chosen in the previous step.
 */
import shader from '../../shaders/decode/feed.wgsl';
import { kernels } from '../gpu/kernel.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { LiveSequences } from './sample.ts';

export const feedKernels = kernels(shader, { forward: { threads: (p) => p.rows as number } });

/** The tokens of step − 1 → ids (B) and positions (B), u32. Step 0 is the prompt's own. */
export function feed(
  tape: Tape,
  { places, tokens }: LiveSequences,
  { step, vocabulary }: { step: number; vocabulary: number },
): { ids: Tensor; positions: Tensor } {
  const rows = places.rows;
  const ids = tape.empty([rows], 'fed ids', 'u32');
  const positions = tape.empty([rows], 'fed positions', 'u32');
  const params = { rows, vocabulary, step, sequences: tokens.cols };
  feedKernels.forward(tape.gpu, { places, tokens, ids, positions }, params);
  return { ids, positions };
}
