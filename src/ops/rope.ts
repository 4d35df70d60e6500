/**
 * Rotary positions (Su et al. 2021), in the half-split order of Hugging Face's weights.
 */
import shader from '../../shaders/layers/rope.wgsl';
import { kernels } from '../gpu/kernel.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';

export const ropeKernels = kernels(shader, {
  rotate: { threads: (p) => (p.tokens * p.heads * p.head_dim) / 2 },
});

/** Cosines and sines (positions, pairs, 2) of the angles position · frequency, times a factor, computed in float64. */
export function ropeTable(positions: number, frequencies: Float64Array, factor = 1): Float32Array {
  const half = frequencies.length;
  const table = new Float32Array(positions * half * 2);
  for (let position = 0; position < positions; position++) {
    for (let j = 0; j < half; j++) {
      const angle = position * frequencies[j];
      table[(position * half + j) * 2] = factor * Math.cos(angle);
      table[(position * half + j) * 2 + 1] = factor * Math.sin(angle);
    }
  }
  return table;
}

/**
 * x (N, heads · headDim), positions (N) u32, turns from {@link ropeTable} → the rotated x. If the table has fewer than
 * headDim / 2 pairs, the remaining coordinates of a head, which follow the rotated ones, are unchanged.
 */
export function rope(tape: Tape, x: Tensor, positions: Tensor, turns: Tensor, headDim: number): Tensor {
  const { gpu } = tape;
  const y = tape.empty(x.shape, 'rope');
  const params = {
    tokens: x.rows,
    heads: x.cols / headDim,
    head_dim: headDim,
    pairs: turns.shape[1],
    direction: 1,
    accumulate: 0,
  };
  ropeKernels.rotate(gpu, { x, positions, turns, y }, params);
  const backward = () => {
    const dx = tape.gradient(x);
    if (!dx) return;
    const buffers = { x: y.grad!, positions, turns, y: dx.grad };
    ropeKernels.rotate(gpu, buffers, { ...params, direction: -1, accumulate: dx.accumulate });
  };
  tape.record({ inputs: [x], outputs: [y], reads: [], backward });
  return y;
}
