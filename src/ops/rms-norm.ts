/**
 * Root-mean-square normalization (Zhang and Sennrich 2019), y = x · rstd · weight.
 */
import shader from '../../shaders/layers/rms-norm.wgsl';
import type { Gpu } from '../gpu/device.ts';
import { type Grid, kernels } from '../gpu/kernel.ts';
import { threadsOfRow } from '../gpu/loops.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { partsOf, rowsOfPart } from './parts.ts';

/** One row per workgroup, or `ROWS`. */
export const rows: Grid = { groups: (p, c) => Math.ceil(p.rows / (c.ROWS as number)) };
/**
 * Rows are usually short. If a row would get at most four threads, each row gets one, and a workgroup processes 16 rows:
 * that fills a processor's vectors without a barrier, and takes half the time at (900, 96). Rows that exceed one thread's
 * loop limit get more threads.
 */
export function rowGroups(gpu: Gpu, cols: number): { WORKGROUP: number; ROWS: number } {
  const { rowThreads, loopLimit } = gpu;
  const isShort = rowThreads <= 4 && threadsOfRow({ rowThreads: 1, loopLimit }, cols) === 1;
  return isShort ? { WORKGROUP: 1, ROWS: 16 } : { WORKGROUP: threadsOfRow(gpu, cols), ROWS: 1 };
}

export const rmsNormKernels = kernels(shader, {
  forward: rows,
  backward_input: rows,
  backward_weight: { threads: (p) => p.cols },
});

export interface RmsNormOptions {
  eps: number;
  /** Whether 1 is added to the weight. */
  offset?: boolean;
}

/** x (N, h · d), weight (d) → y (N, h · d), each head of size d separately. */
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
  const constants = { ...rowGroups(gpu, cols), OFFSET: offset };
  rmsNormKernels.forward(gpu, { x, weight, y, rstd }, params, constants);
  const backward = () => {
    const dy = y.grad!;
    const dx = tape.gradient(x);
    if (dx) {
      const buffers = { x, weight, dy, saved_rstd: rstd, dx: dx.grad };
      rmsNormKernels.backward_input(gpu, buffers, { ...params, accumulate: dx.accumulate }, constants);
    }
    const dweight = tape.gradient(weight);
    if (dweight) {
      const { grad, accumulate } = dweight;
      for (const part of partsOf(gpu, rows)) {
        const [ofX, ofDy, saved_rstd] = [x, dy, rstd].map((tensor) => rowsOfPart(tensor, rows, part));
        const buffers = { x: ofX, dy: ofDy, saved_rstd, dweight: grad };
        const ofPart = { ...params, rows: part.count, accumulate: part.first > 0 ? 1 : accumulate };
        rmsNormKernels.backward_weight(gpu, buffers, ofPart);
      }
    }
  };
  tape.record({ inputs: [x, weight], outputs: [y], reads: [x], saved: [rstd], backward });
  return y;
}
