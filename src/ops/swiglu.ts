/**
 * The gate of Llama's feed-forward layer (Shazeer 2020), y = silu(gate) · up.
 */
import shader from '../../shaders/layers/swiglu.wgsl';
import { kernels } from '../gpu/kernel.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';

const elements = { threads: (p: Readonly<Record<string, number>>) => p.count as number };

export const swigluKernels = kernels(shader, { forward: elements, backward_gate: elements, backward_up: elements });

/** gate and up (N, d) → y (N, d). */
export function swiglu(tape: Tape, gate: Tensor, up: Tensor): Tensor {
  const { gpu } = tape;
  if (gate.length !== up.length) throw new RangeError(`swiglu: gate is ${gate}, but up is ${up}`);
  const y = tape.empty(gate.shape, 'swiglu');
  const params = { count: gate.length, accumulate: 0 };
  swigluKernels.forward(gpu, { gate, up, y }, params);
  const backward = () => {
    const dy = y.grad as Tensor;
    const dgate = tape.gradient(gate);
    if (dgate) {
      const buffers = { gate, up, dy, dgate: dgate.grad };
      swigluKernels.backward_gate(gpu, buffers, { ...params, accumulate: dgate.accumulate });
    }
    const dup = tape.gradient(up);
    if (dup) {
      swigluKernels.backward_up(gpu, { gate, dy, dup: dup.grad }, { ...params, accumulate: dup.accumulate });
    }
  };
  tape.record({ inputs: [gate, up], outputs: [y], backward });
  return y;
}
