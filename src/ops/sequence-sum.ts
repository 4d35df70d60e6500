/**
 * Sums of token log-probabilities per sequence, the input of preference losses.
 */
import shader from '../../shaders/logits/sequence-sum.wgsl';
import { type Grid, kernels } from '../gpu/kernel.ts';
import { threadsOfRow } from '../gpu/loops.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';

const sequences: Grid = { groups: (p) => p.sequences };

export const sequenceSumKernels = kernels(shader, { forward: sequences, backward: sequences });

/**
 * logprobs (R), offsets (S + 1) u32 ascending from 0 to R → sums (S): sequence s owns the rows from offsets[s] up to
 * offsets[s + 1].
 *
 * `tail` is the weight of tokens beyond the length of the sequence's partner (2p and 2p + 1 are partners): α of LD-DPO (Liu
 * et al. 2024, Length Desensitization in DPO). At 1, the default, there are no partners.
 */
export function sequenceSums(tape: Tape, logprobs: Tensor, offsets: Tensor, tail = 1): Tensor {
  if (offsets.dtype !== 'u32' || offsets.length < 1) {
    throw new RangeError(`sequenceSums: offsets must be (S + 1) u32, got ${offsets}`);
  }
  const { gpu } = tape;
  const count = offsets.length - 1;
  if (tail !== 1 && count % 2 !== 0)
    throw new RangeError(`sequenceSums: the number of sequences must be even, got ${count}`);
  // Upper bound: all rows may belong to one sequence.
  const constants = { WORKGROUP: threadsOfRow(gpu, logprobs.length, 1) };
  const sums = tape.empty([count], 'sequence sums');
  sequenceSumKernels.forward(
    gpu,
    { logprobs, offsets, sums },
    { sequences: count, accumulate: 0, tail },
    constants,
  );
  const backward = () => {
    const slot = tape.gradient(logprobs);
    if (!slot) return;
    const buffers = { offsets, dsums: sums.grad!, dlogprobs: slot.grad };
    const params = { sequences: count, accumulate: slot.accumulate, tail };
    sequenceSumKernels.backward(gpu, buffers, params, constants);
  };
  tape.record({ inputs: [logprobs], outputs: [sums], backward });
  return sums;
}
