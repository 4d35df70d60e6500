/**
 * Weighted preference optimization (Zhou et al. 2024): after a loss has written its records and its derivative, weights
 * each pair by the policy's own probability of generating it. Only depends on the positions of loss and weight in a record.
 */
import shader from '../../shaders/logits/wpo.wgsl';
import type { Gpu } from '../gpu/device.ts';
import { kernels } from '../gpu/kernel.ts';
import { threadsOfRow } from '../gpu/loops.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { checkPerRow } from './logits.ts';
import type { TokenLogprobs } from './token-logprob.ts';

export const wpoKernels = kernels(shader, {
  forward: { groups: (p) => p.pairs },
  backward: { threads: (p) => 2 * p.pairs },
});

export interface WeighedPairs {
  /** (P, width): the loss is multiplied by the weight, and the weight is stored beside it. */
  records: Tensor;
  /** Columns of a record. */
  columns: { loss: number; weight: number };
  /** (2P) each: derivatives, which are also multiplied; empty if nothing is differentiated. */
  slopes: readonly Tensor[];
}

/** Scores (R) of 2P completions, the chosen one of a pair first; offsets (2P + 1) u32 define the rows of each completion. */
export function weighPairs(
  gpu: Gpu,
  { logprobs, stats }: TokenLogprobs,
  offsets: Tensor,
  { records, columns, slopes }: WeighedPairs,
): void {
  const pairs = records.rows;
  checkPerRow('weighPairs: offsets', offsets, 2 * pairs + 1, 'u32');
  for (const dsums of slopes) checkPerRow('weighPairs: slopes', dsums, 2 * pairs, 'f32');
  const { loss, weight } = columns;
  const params = { pairs, width: records.cols, loss, weight };
  const constants = { WORKGROUP: threadsOfRow(gpu, logprobs.length, 1) };
  wpoKernels.forward(gpu, { logprobs, stats, offsets, records }, params, constants);
  for (const dsums of slopes)
    wpoKernels.backward(gpu, { weighed_records: records, dsums }, params, constants);
}
