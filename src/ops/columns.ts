/**
 * Splits a matrix by columns: queries, keys and values from one product.
 */
import shader from '../../shaders/layers/columns.wgsl';
import { kernels } from '../gpu/kernel.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';

const elements = {
  threads: (p: Readonly<Record<string, number>>) => p.rows * p.cols,
};

export const columnsKernels = kernels(shader, { forward: elements, backward: elements });

/** x (N, Σ widths) → one (N, width) each, in order. All of them must be used, otherwise the gradient of x is incomplete. */
export function splitColumns(tape: Tape, x: Tensor, widths: readonly number[]): Tensor[] {
  const { gpu } = tape;
  if (widths.reduce((sum, width) => sum + width, 0) !== x.cols)
    throw new RangeError(`splitColumns: x is ${x}, but the widths are ${widths.join(', ')}`);
  const rows = x.rows;
  let next = 0;
  const parts = widths.map((cols) => {
    const y = tape.empty([rows, cols], 'columns');
    const params = { rows, cols, first: next, stride: x.cols, accumulate: 0 };
    columnsKernels.forward(gpu, { x, y }, params);
    next += cols;
    return { y, params };
  });
  const outputs = parts.map(({ y }) => y);
  const backward = () => {
    const dx = tape.gradient(x);
    if (!dx) return;
    for (const { y, params } of parts) {
      const buffers = { dy: y.grad!, dx: dx.grad };
      columnsKernels.backward(gpu, buffers, { ...params, accumulate: dx.accumulate });
    }
  };
  tape.record({ inputs: [x], outputs, reads: [], backward });
  return outputs;
}
