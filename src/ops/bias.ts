/**
 * Kernels for the bias of a linear layer, which the linear layer calls. Not an op: records nothing on the tape.
 */
import shader from '../../shaders/layers/bias.wgsl';
import type { Gpu } from '../gpu/device.ts';
import { kernels } from '../gpu/kernel.ts';
import type { GradientSlot } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { partsOf, rowsOfPart } from './parts.ts';

export const biasKernels = kernels(shader, {
  forward: { threads: (p) => p.rows * p.cols },
  backward: { threads: (p) => p.cols },
});

/** Sets every row of y (N, d) to the scaled bias (d), or adds it. */
export function fillWithBias(
  gpu: Gpu,
  bias: Tensor,
  y: Tensor,
  { scale = 1, accumulate = 0 }: { scale?: number; accumulate?: 0 | 1 } = {},
): void {
  biasKernels.forward(gpu, { bias, y }, { rows: y.rows, cols: y.cols, scale, accumulate });
}

/** dbias (d): the sum of dy (N, d) over rows, scaled. */
export function biasGradient(gpu: Gpu, dy: Tensor, { grad, accumulate }: GradientSlot, scale = 1): void {
  const { rows, cols } = dy;
  for (const part of partsOf(gpu, rows)) {
    const params = { rows: part.count, cols, scale, accumulate: part.first > 0 ? 1 : accumulate };
    biasKernels.backward(gpu, { dy: rowsOfPart(dy, rows, part), dbias: grad }, params);
  }
}
