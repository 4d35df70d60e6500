/**
 * The log-probability of each live sequence's newest token under the model at temperature 1, from the logits of its step.
 * Uses the same sum as training (`lib/online-logsumexp.wgsl`). Records nothing.
 */
import shader from '../../shaders/decode/chosen-logprob.wgsl';
import type { Gpu } from '../gpu/device.ts';
import { kernels } from '../gpu/kernel.ts';
import { sharingRows } from '../gpu/loops.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type LiveSequences, ringOf, type StepOfRows } from './sample.ts';

export const chosenLogprobKernels = kernels(shader, { forward: { groups: (p) => p.rows } });

/** logits (R, V) of the live rows from `firstRow`, and the tokens of `step` → `logprobs` (T, S) of `step`. */
export function chosenLogprobs(
  gpu: Gpu,
  logits: Tensor,
  { places, tokens }: LiveSequences,
  logprobs: Tensor,
  { step, firstRow = 0, vocabulary = logits.cols }: StepOfRows,
): void {
  const params = {
    rows: logits.rows,
    first_row: firstRow,
    cols: vocabulary,
    stride: logits.cols,
    step,
    ...ringOf(tokens),
  };
  const buffers = { logits, places, tokens, logprobs };
  chosenLogprobKernels.forward(gpu, buffers, params, sharingRows(gpu, vocabulary));
}
