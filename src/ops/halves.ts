/**
 * Stores activations in half the bytes between forward and backward: a {@link Packing} for a tape's tensors. Not an op:
 * records nothing on the tape.
 */
import shader from '../../shaders/layers/halves.wgsl';
import { kernels } from '../gpu/kernel.ts';
import type { Packing } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { rowGroups, rows } from './rms-norm.ts';

export const halvesKernels = kernels(shader, { pack: rows, unpack: rows });

const params = (tensor: Tensor) => ({ rows: tensor.rows, fours: tensor.cols / 4 });

/** Two numbers per word, and two words per row for its exponent. Rows that are not a multiple of four stay unpacked. */
export const HALVES: Packing = {
  name: 'in halves',
  words: ({ rows, cols, dtype }) => (dtype === 'f32' && cols % 4 === 0 ? rows * (2 + cols / 2) : undefined),
  pack: (gpu, x, packed) => halvesKernels.pack(gpu, { x, packed }, params(x), rowGroups(gpu, x.cols / 4)),
  unpack: (gpu, saved, y) => halvesKernels.unpack(gpu, { saved, y }, params(y), rowGroups(gpu, y.cols / 4)),
};
