/**
 * Sums of token log-probabilities by sequence: what a preference objective is made of.
 */
import shader from '../../shaders/logits/sequence-sum.wgsl';
import { type Grid, kernels } from '../gpu/kernel.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';

const sequences: Grid = { groups: (p) => p.sequences };

export const sequenceSumKernels = kernels(shader, { forward: sequences, backward: sequences });

/**
 * logprobs (R), offsets (S + 1) u32 ascending from 0 to R → sums (S): sequence s owns the rows from offsets[s] up to
 * offsets[s + 1].
 */
export function sequenceSums(tape: Tape, logprobs: Tensor, offsets: Tensor): Tensor {
  if (offsets.dtype !== 'u32' || offsets.length < 1) {
    throw new RangeError(`sequenceSums: offsets must be (S + 1) u32, not ${offsets}`);
  }
  const { gpu } = tape;
  const count = offsets.length - 1;
  const constants = { WORKGROUP: gpu.rowThreads };
  const sums = tape.empty([count], 'sequence sums');
  sequenceSumKernels.forward(
    gpu,
    { logprobs, offsets, sums },
    { sequences: count, accumulate: 0 },
    constants,
  );
  const backward = () => {
    const slot = tape.gradient(logprobs);
    if (!slot) return;
    const buffers = { offsets, dsums: sums.grad as Tensor, dlogprobs: slot.grad };
    sequenceSumKernels.backward(gpu, buffers, { sequences: count, accumulate: slot.accumulate }, constants);
  };
  tape.record({ inputs: [logprobs], outputs: [sums], backward });
  return sums;
}
