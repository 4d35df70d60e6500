/**
 * How a kernel processes independent elements: as vectors of four if their number allows.
 */
import type { Constants } from '../gpu/pipelines.ts';

/** Activation function of the feed-forward layer: silu(z) = z · σ(z), or GELU with the tanh approximation. */
export type Activation = 'silu' | 'gelu';

/** The count and the constants for `length` elements; the shader's type `Element` is set to the unit of the count. */
export function inVectors(length: number): { count: number; constants: Constants } {
  return length % 4 === 0
    ? { count: length / 4, constants: { Element: 'vec4f' } }
    : { count: length, constants: {} };
}
