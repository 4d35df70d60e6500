/**
 * Root-mean-square normalisation (Zhang and Sennrich 2019), y = x · rstd · weight.
 */
import shader from '../../shaders/layers/rms-norm.wgsl';
import { type Grid, kernels } from '../gpu/kernel.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';

const rows: Grid = { groups: (p, c) => Math.ceil((p.rows as number) / (c.ROWS as number)) };
/** Rows of a workgroup where one thread does a row: enough to fill a processor's vectors. */
const ROWS_OF_ONE_THREAD = 16;

export const rmsNormKernels = kernels(shader, {
  forward: rows,
  backward_input: rows,
  backward_weight: { threads: (p) => p.cols as number },
});

/** x (N, d), weight (d) → y (N, d). */
export function rmsNorm(tape: Tape, x: Tensor, weight: Tensor, eps: number): Tensor {
  const { gpu } = tape;
  if (weight.length !== x.cols) throw new RangeError(`rmsNorm: x is ${x}, but the weight is ${weight}`);
  const y = tape.empty(x.shape, 'rms norm');
  const rstd = tape.empty([x.rows], 'rstd');
  const params = { rows: x.rows, cols: x.cols, eps, accumulate: 0 };
  const constants = { WORKGROUP: gpu.rowThreads, ROWS: gpu.rowThreads === 1 ? ROWS_OF_ONE_THREAD : 1 };
  rmsNormKernels.forward(gpu, { x, weight, y, rstd }, params, constants);
  const backward = () => {
    const dy = y.grad as Tensor;
    const dx = tape.gradient(x);
    if (dx) {
      const buffers = { x, weight, dy, saved_rstd: rstd, dx: dx.grad };
      rmsNormKernels.backward_input(gpu, buffers, { ...params, accumulate: dx.accumulate }, constants);
    }
    const dweight = tape.gradient(weight);
    if (dweight) {
      rmsNormKernels.backward_weight(gpu, { x, dy, saved_rstd: rstd, dweight: dweight.grad }, params);
    }
  };
  tape.record({ inputs: [x, weight], outputs: [y], saved: [rstd], backward });
  return y;
}
