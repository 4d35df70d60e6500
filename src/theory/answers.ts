/**
 * Shared checks of the functions on finite answer sets: shapes and β. N prompts, V answers each; an answer
 * outside the reference's support is masked by −∞. Runs no kernel.
 */
import { checkLogits, checkPerRow } from '../ops/logits.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** β: one number for all prompts, or a tensor (N), whose values the caller must check. */
export type Beta = number | Tensor;

/** The range in which rewards of up to 10⁸ stay far from float32's limits when divided or multiplied by β. */
export const BETA_RANGE = [1e-30, 1e30] as const;

/** Throws a RangeError unless all tensors are (N, V) float32 with the same shape. */
export function checkAnswers(name: string, tensors: Readonly<Record<string, Tensor>>): void {
  const all = Object.values(tensors);
  for (const tensor of all) checkLogits(name, tensor);
  const [first, ...others] = all as [Tensor, ...Tensor[]];
  const other = others.find(({ rows, cols }) => rows !== first.rows || cols !== first.cols);
  if (other) throw new RangeError(`${name}: ${first} and ${other} differ in shape`);
}

/** β as a tensor (N). Throws a RangeError for a number out of {@link BETA_RANGE} and for a tensor of another size. */
export function perRowBeta(tape: Tape, name: string, beta: Beta, rows: number): Tensor {
  if (typeof beta !== 'number') {
    checkPerRow(`${name}: beta`, beta, rows, 'f32');
    return beta;
  }
  const [low, high] = BETA_RANGE;
  if (!(beta >= low && beta <= high)) {
    throw new RangeError(`${name}: beta is ${beta}, but must be from ${low} to ${high}`);
  }
  const betas = tape.empty([rows], 'beta');
  tape.gpu.recorder.write(betas, new Float32Array(rows).fill(beta));
  return betas;
}
