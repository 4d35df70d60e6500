/**
 * Root-mean-square normalisation (Zhang and Sennrich 2019), y = x · rstd · weight.
 */
import shader from '../../shaders/layers/rms-norm.wgsl';
import { type Grid, kernels } from '../gpu/kernel.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** One row a workgroup, or `ROWS`. */
export const rows: Grid = { groups: (p, c) => Math.ceil((p.rows as number) / (c.ROWS as number)) };
/**
 * Rows are short, so where a row would have no more than four threads, each row has one and a workgroup takes 16 of them:
 * that keeps a processor's vectors full without a barrier, and takes half the time at (900, 96).
 */
export const rowGroups = (rowThreads: number) =>
  rowThreads <= 4 ? { WORKGROUP: 1, ROWS: 16 } : { WORKGROUP: rowThreads, ROWS: 1 };

export const rmsNormKernels = kernels(shader, {
  forward: rows,
  backward_input: rows,
  backward_weight: { threads: (p) => p.cols as number },
});

export interface RmsNormOptions {
  eps: number;
  /** The weight counts from one. */
  offset?: boolean;
}

/** x (N, h · d), weight (d) → y (N, h · d), each head of d by itself. */
export function rmsNorm(
  tape: Tape,
  x: Tensor,
  weight: Tensor,
  { eps, offset = false }: RmsNormOptions,
): Tensor {
  const { gpu } = tape;
  const cols = weight.length;
  if (x.cols % cols !== 0) throw new RangeError(`rmsNorm: x is ${x}, but the weight is ${weight}`);
  const rows = x.length / cols;
  const y = tape.empty(x.shape, 'rms norm');
  const rstd = tape.empty([rows], 'rstd');
  const params = { rows, cols, eps, accumulate: 0 };
  const constants = { ...rowGroups(gpu.rowThreads), OFFSET: offset };
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
      const buffers = { x, dy, saved_rstd: rstd, dweight: dweight.grad };
      rmsNormKernels.backward_weight(gpu, buffers, { ...params, accumulate: dweight.accumulate });
    }
  };
  tape.record({ inputs: [x, weight], outputs: [y], reads: [x], saved: [rstd], backward });
  return y;
}
