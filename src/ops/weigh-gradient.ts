/**
 * Weighted rows: values pass unchanged, their gradients are multiplied. A batch of all outcomes, weighted by their
 * probabilities, has the expected gradient of a sampled batch.
 */
import shader from '../../shaders/layers/weigh-gradient.wgsl';
import { kernels } from '../gpu/kernel.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { copyInto } from './add.ts';

export const weighGradientKernels = kernels(shader, { backward: { threads: (p) => p.count } });

/** Returns x, with dx = weights · dy; x and weights have the same shape. The weights get no gradient. */
export function weighGradient(tape: Tape, x: Tensor, weights: Tensor): Tensor {
  const { gpu } = tape;
  if (x.length !== weights.length) throw new RangeError(`weighGradient: ${x} and ${weights} differ in size`);
  const y = tape.empty(x.shape, 'weighed rows');
  copyInto(gpu, x, y, 0);
  const backward = () => {
    const slot = tape.gradient(x);
    if (!slot) return;
    const buffers = { weights, dy: y.grad!, dx: slot.grad };
    weighGradientKernels.backward(gpu, buffers, { count: x.length, accumulate: slot.accumulate });
  };
  tape.record({ inputs: [x, weights], outputs: [y], reads: [weights], backward });
  return y;
}
