/**
 * The gated unit of a feed-forward layer (Shazeer 2020), y = act(gate) · up: SwiGLU in Llama, GeGLU in Gemma.
 */
import shader from '../../shaders/layers/gated-unit.wgsl';
import { kernels } from '../gpu/kernel.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type Activation, inVectors } from './elementwise.ts';

const elements = { threads: (p: Readonly<Record<string, number>>) => p.count };

export const gatedUnitKernels = kernels(shader, { forward: elements, backward: elements });

/** gate and up (N, d) → y (N, d). */
export function gatedUnit(tape: Tape, gate: Tensor, up: Tensor, activation: Activation = 'silu'): Tensor {
  const { gpu } = tape;
  if (gate.length !== up.length) throw new RangeError(`gatedUnit: gate is ${gate}, but up is ${up}`);
  const y = tape.empty(gate.shape, 'gated unit');
  const { count, constants: vectors } = inVectors(gate.length);
  const constants = { ...vectors, GELU: activation === 'gelu' };
  const params = { count, accumulate_gate: 0, accumulate_up: 0 };
  gatedUnitKernels.forward(gpu, { gate, up, y }, params, constants);
  const backward = () => {
    tape.gradients([gate, up], ([dgate, dup]) => {
      const buffers = { gate, up, dy: y.grad!, dgate: dgate.grad, dup: dup.grad };
      const accumulate = { accumulate_gate: dgate.accumulate, accumulate_up: dup.accumulate };
      gatedUnitKernels.backward(gpu, buffers, { count, ...accumulate }, constants);
    });
  };
  tape.record({ inputs: [gate, up], outputs: [y], reads: [gate, up], backward });
  return y;
}
