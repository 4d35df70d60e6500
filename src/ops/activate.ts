/**
 * The activation of a feed-forward layer without a gate, y = act(x): GELU in GPT-2.
 */
import shader from '../../shaders/layers/activate.wgsl';
import { kernels } from '../gpu/kernel.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type Activation, inVectors } from './elementwise.ts';

const elements = { threads: (p: Readonly<Record<string, number>>) => p.count };

export const activateKernels = kernels(shader, { forward: elements, backward: elements });

/** x (N, d) → y (N, d). */
export function activate(tape: Tape, x: Tensor, activation: Activation): Tensor {
  const { gpu } = tape;
  const y = tape.empty(x.shape, activation);
  const { count, constants: vectors } = inVectors(x.length);
  const constants = { ...vectors, GELU: activation === 'gelu' };
  activateKernels.forward(gpu, { x, y }, { count, accumulate: 0 }, constants);
  const backward = () => {
    const dx = tape.gradient(x);
    if (!dx) return;
    const buffers = { x, dy: y.grad!, dx: dx.grad };
    activateKernels.backward(gpu, buffers, { count, accumulate: dx.accumulate }, constants);
  };
  tape.record({ inputs: [x], outputs: [y], reads: [x], backward });
  return y;
}
