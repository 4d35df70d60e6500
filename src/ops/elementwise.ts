/**
 * How a kernel walks over elements that do not know of each other: as vectors of four where their number allows.
 */
import type { Constants } from '../gpu/pipelines.ts';

/** What a feed-forward layer bends its numbers with: silu(z) = z · σ(z), or GELU in its tanh form. */
export type Activation = 'silu' | 'gelu';

/** The count and the constants for `length` elements; the shader's type `Element` becomes what it counts. */
export function inVectors(length: number): { count: number; constants: Constants } {
  return length % 4 === 0
    ? { count: length / 4, constants: { Element: 'vec4f' } }
    : { count: length, constants: {} };
}
