/**
 * Softmax and log-softmax over the rows of a logits buffer, with their gradients. Entries of −∞ are masked: see the
 * shader.
 */
import shader from '../../shaders/logits/softmax.wgsl';
import { type Grid, kernels } from '../gpu/kernel.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { checkLogits, inRowBlocks } from './logits.ts';

const perRow: Grid = { groups: (p) => p.rows };

export const softmaxKernels = kernels(shader, {
  forward: perRow,
  forward_log: perRow,
  backward: perRow,
  backward_log: perRow,
});

/** logits (N, V) → probabilities (N, V). */
export function softmax(tape: Tape, logits: Tensor): Tensor {
  checkLogits('softmax', logits);
  const { gpu } = tape;
  const { rows, cols } = logits;
  const constants = { WORKGROUP: gpu.rowThreads };
  const probs = tape.empty(logits.shape, 'probabilities');
  inRowBlocks(gpu, rows, cols, (count, part) => {
    const buffers = { logits: part(logits), probs: part(probs) };
    softmaxKernels.forward(gpu, buffers, { rows: count, cols, accumulate: 0 }, constants);
  });
  const backward = () => {
    const slot = tape.gradient(logits);
    if (!slot) return;
    const dy = probs.grad as Tensor;
    inRowBlocks(gpu, rows, cols, (count, part) => {
      const buffers = { saved_probs: part(probs), dy: part(dy), dlogits: part(slot.grad) };
      softmaxKernels.backward(gpu, buffers, { rows: count, cols, accumulate: slot.accumulate }, constants);
    });
  };
  tape.record({ inputs: [logits], outputs: [probs], backward });
  return probs;
}

/** logits (N, V) → log-probabilities (N, V). */
export function logSoftmax(tape: Tape, logits: Tensor): Tensor {
  checkLogits('logSoftmax', logits);
  const { gpu } = tape;
  const { rows, cols } = logits;
  const constants = { WORKGROUP: gpu.rowThreads };
  const logprobs = tape.empty(logits.shape, 'log-probabilities');
  inRowBlocks(gpu, rows, cols, (count, part) => {
    const buffers = { logits: part(logits), logprobs: part(logprobs) };
    softmaxKernels.forward_log(gpu, buffers, { rows: count, cols, accumulate: 0 }, constants);
  });
  const backward = () => {
    const slot = tape.gradient(logits);
    if (!slot) return;
    const dy = logprobs.grad as Tensor;
    inRowBlocks(gpu, rows, cols, (count, part) => {
      const buffers = { saved_logprobs: part(logprobs), dy: part(dy), dlogits: part(slot.grad) };
      softmaxKernels.backward_log(
        gpu,
        buffers,
        { rows: count, cols, accumulate: slot.accumulate },
        constants,
      );
    });
  };
  tape.record({ inputs: [logits], outputs: [logprobs], backward });
  return logprobs;
}
