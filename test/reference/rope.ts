/**
 * Rotary positions (Su et al. 2021) in the half-split layout of Hugging Face checkpoints: elements i and i + P of a head
 * are rotated by the angle position · frequency[i], where P frequencies rotate the first 2 P of its D elements.
 */
import type { Reals } from './arrays.ts';

/** x is (rows, heads · headDim); `frequencies` has headDim / 2 entries or fewer, see {@link ropeFrequencies}. */
export interface RopeShape {
  rows: number;
  heads: number;
  headDim: number;
  frequencies: Reals;
  /** Factor on the rotated elements; 1 by default. */
  factor?: number;
}

/** theta^(−2i/D) for i in [0, D/2), in radians per position. */
export function ropeFrequencies(headDim: number, theta: number): Float64Array {
  return Float64Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim));
}

/** y = x with every head rotated to its token's position. `positions` (rows). */
export function rope(x: Reals, positions: Reals, shape: RopeShape): Float64Array {
  return rotate(x, positions, shape, 1);
}

/** dx: the transpose of a rotation rotates back. */
export function ropeBackward(dy: Reals, positions: Reals, shape: RopeShape): Float64Array {
  return rotate(dy, positions, shape, -1);
}

function rotate(
  x: Reals,
  positions: Reals,
  { rows, heads, headDim, frequencies, factor = 1 }: RopeShape,
  direction: 1 | -1,
) {
  const y = Float64Array.from(x);
  const half = frequencies.length;
  for (let n = 0; n < rows; n++) {
    for (let i = 0; i < half; i++) {
      const cos = factor * Math.cos(positions[n] * frequencies[i]);
      const sin = factor * direction * Math.sin(positions[n] * frequencies[i]);
      for (let h = 0; h < heads; h++) {
        const low = (n * heads + h) * headDim + i;
        const high = low + half;
        y[low] = x[low] * cos - x[high] * sin;
        y[high] = x[high] * cos + x[low] * sin;
      }
    }
  }
  return y;
}
