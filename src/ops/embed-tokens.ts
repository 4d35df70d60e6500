/**
 * The input of a generation step: the embeddings of the tokens chosen in the previous step. Records nothing.
 */
import shader from '../../shaders/decode/embed-tokens.wgsl';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type LiveSequences, ringOf } from './sample.ts';
import { bound, formatOf, weightKernels } from './weights.ts';

export const embedKernels = weightKernels(shader, 'one', {
  forward: { threads: (p) => p.rows * p.cols },
});

/** The tokens of step − 1, or the prompts' last ones → rows of the table (V, d), scaled: (B, d). */
export function embedTokens(
  tape: Tape,
  table: Tensor,
  { places, tokens }: LiveSequences,
  { step, scale = 1 }: { step: number; scale?: number | undefined },
): Tensor {
  const [vocabulary, cols] = table.shape as [number, number];
  const y = tape.empty([places.rows, cols], 'embedded tokens');
  const params = { rows: places.rows, cols, vocabulary, step, ...ringOf(tokens), scale };
  embedKernels[formatOf(table)].forward(tape.gpu, { places, tokens, weights: bound(table), y }, params);
  return y;
}
