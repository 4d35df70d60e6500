/** The norm of all gradients together and its clipping, as torch.nn.utils.clip_grad_norm_ does it. */
import { type Reals, scaled } from './arrays.ts';

/** √ Σ over all arrays of g². */
export function gradNorm(gradients: Iterable<Reals>): number {
  let squares = 0;
  for (const gradient of gradients) for (let i = 0; i < gradient.length; i++) squares += gradient[i] ** 2;
  return Math.sqrt(squares);
}

/** min(1, maxNorm / (norm + 1e-6)). TRL does not clip at all for maxNorm ≤ 0; that is the caller's choice. */
export function clipCoefficient(norm: number, maxNorm: number): number {
  return Math.min(1, maxNorm / (norm + 1e-6));
}

/** The clipped gradients and the norm before clipping. */
export function clipGradients(gradients: readonly Reals[], maxNorm: number) {
  const norm = gradNorm(gradients);
  const coefficient = clipCoefficient(norm, maxNorm);
  return { norm, coefficient, gradients: gradients.map((gradient) => scaled(gradient, coefficient)) };
}
