/**
 * Layer normalization (Ba et al. 2016), y = (x − mean) · rstd · weight + bias.
 */
import shader from '../../shaders/layers/layer-norm.wgsl';
import { kernels } from '../gpu/kernel.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { biasGradient } from './bias.ts';
import { partsOf, rowsOfPart } from './parts.ts';
import { rowGroups, rows } from './rms-norm.ts';

export const layerNormKernels = kernels(shader, {
  forward: rows,
  backward_input: rows,
  backward_weight: { threads: (p) => p.cols },
});

/** x (N, d), weight and bias (d) → y (N, d). */
export function layerNorm(tape: Tape, x: Tensor, weight: Tensor, bias: Tensor, eps: number): Tensor {
  const { gpu } = tape;
  if (weight.length !== x.cols || bias.length !== x.cols)
    throw new RangeError(`layerNorm: x is ${x}, but the weight is ${weight} and the bias ${bias}`);
  const y = tape.empty(x.shape, 'layer norm');
  const stats = tape.empty([x.rows, 2], 'mean and rstd');
  const params = { rows: x.rows, cols: x.cols, eps, accumulate: 0 };
  const constants = rowGroups(gpu, x.cols);
  layerNormKernels.forward(gpu, { x, weight, bias, y, stats }, params, constants);
  const backward = () => {
    const dy = y.grad!;
    const dx = tape.gradient(x);
    if (dx) {
      const buffers = { x, weight, dy, saved_stats: stats, dx: dx.grad };
      layerNormKernels.backward_input(gpu, buffers, { ...params, accumulate: dx.accumulate }, constants);
    }
    const dweight = tape.gradient(weight);
    if (dweight) {
      const { grad, accumulate } = dweight;
      for (const part of partsOf(gpu, x.rows)) {
        const [ofX, ofDy, saved_stats] = [x, dy, stats].map((tensor) => rowsOfPart(tensor, x.rows, part));
        const buffers = { x: ofX, dy: ofDy, saved_stats, dweight: grad };
        const ofPart = { ...params, rows: part.count, accumulate: part.first > 0 ? 1 : accumulate };
        layerNormKernels.backward_weight(gpu, buffers, ofPart);
      }
    }
    const dbias = tape.gradient(bias);
    if (dbias) biasGradient(gpu, dy, dbias);
  };
  tape.record({ inputs: [x, weight, bias], outputs: [y], reads: [x], saved: [stats], backward });
  return y;
}
