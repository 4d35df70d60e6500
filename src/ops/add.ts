/**
 * The residual sum.
 */
import shader from '../../shaders/layers/add.wgsl';
import type { Gpu } from '../gpu/device.ts';
import { kernels } from '../gpu/kernel.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { inVectors } from './elementwise.ts';

const elements = { threads: (p: Readonly<Record<string, number>>) => p.count };

export const addKernels = kernels(shader, { forward: elements, backward: elements });

/** a + b, for tensors of the same shape. */
export function add(tape: Tape, a: Tensor, b: Tensor): Tensor {
  const { gpu } = tape;
  if (a.length !== b.length) throw new RangeError(`add: ${a} and ${b} differ in size`);
  const y = tape.empty(a.shape, 'sum');
  const { count, constants } = inVectors(a.length);
  addKernels.forward(gpu, { a, b, y }, { count, accumulate: 0 }, constants);
  const backward = () => {
    for (const summand of [a, b]) {
      const slot = tape.gradient(summand);
      if (slot) copyInto(gpu, y.grad!, slot.grad, slot.accumulate);
    }
  };
  tape.record({ inputs: [a, b], outputs: [y], reads: [], backward });
  return y;
}

/** Sets y to x, which has the same shape, or adds x to y. */
export function copyInto(gpu: Gpu, x: Tensor, y: Tensor, accumulate: 0 | 1): void {
  const { count, constants } = inVectors(x.length);
  addKernels.backward(gpu, { dy: x, dx: y }, { count, accumulate }, constants);
}
