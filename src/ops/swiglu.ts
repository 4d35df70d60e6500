/**
 * The gate of Llama's feed-forward layer (Shazeer 2020), y = silu(gate) · up.
 */
import shader from '../../shaders/layers/swiglu.wgsl';
import { kernels } from '../gpu/kernel.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { inVectors } from './elementwise.ts';

const elements = { threads: (p: Readonly<Record<string, number>>) => p.count as number };

export const swigluKernels = kernels(shader, {
  forward: elements,
  backward_gate: elements,
  backward_up: elements,
});

/** gate and up (N, d) → y (N, d). */
export function swiglu(tape: Tape, gate: Tensor, up: Tensor): Tensor {
  const { gpu } = tape;
  if (gate.length !== up.length) throw new RangeError(`swiglu: gate is ${gate}, but up is ${up}`);
  const y = tape.empty(gate.shape, 'swiglu');
  const { count, constants } = inVectors(gate.length);
  const params = { count, accumulate: 0 };
  swigluKernels.forward(gpu, { gate, up, y }, params, constants);
  const backward = () => {
    const dy = y.grad as Tensor;
    const dgate = tape.gradient(gate);
    if (dgate) {
      const buffers = { gate, up, dy, dgate: dgate.grad };
      swigluKernels.backward_gate(gpu, buffers, { ...params, accumulate: dgate.accumulate }, constants);
    }
    const dup = tape.gradient(up);
    if (dup) {
      const buffers = { gate, dy, dup: dup.grad };
      swigluKernels.backward_up(gpu, buffers, { ...params, accumulate: dup.accumulate }, constants);
    }
  };
  tape.record({ inputs: [gate, up], outputs: [y], backward });
  return y;
}
