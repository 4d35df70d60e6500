/**
 * The soft cap of logits (Gemma 2), cap · tanh(logit / cap), in place, on strips of the vocabulary or on all of it. Records
 * nothing: the consumer of the logits includes its derivative.
 */
import shader from '../../shaders/logits/soft-cap.wgsl';
import type { Gpu } from '../gpu/device.ts';
import { type Grid, kernels } from '../gpu/kernel.ts';
import { sharingRows } from '../gpu/loops.ts';
import type { Constants } from '../gpu/pipelines.ts';
import type { Tensor } from '../tensor/tensor.ts';

const perRow: Grid = { groups: (p) => p.rows };

export const softCapKernels = kernels(shader, { forward: perRow, forward_mean: perRow });

/** The constants of a kernel that caps scores or logits; empty without a cap, so that there is no cost. */
export function cappedBy(cap: number | undefined): Constants {
  return cap === undefined ? {} : { CAPPED: true };
}

/** The running means to which a strip adds. */
export interface MeanOfRows {
  /** (R): the mean of a row's capped logits over the vocabulary. */
  means: Tensor;
  vocabulary: number;
  accumulate: 0 | 1;
}

/** Caps the first `cols` logits of each row of (R, stride). */
export function softCap(gpu: Gpu, logits: Tensor, cols: number, cap: number, mean?: MeanOfRows): void {
  const params = { rows: logits.rows, cols, stride: logits.cols, cap, share: 0, accumulate: 0 };
  const constants = sharingRows(gpu, cols);
  if (!mean) {
    softCapKernels.forward(gpu, { logits }, params, constants);
    return;
  }
  const { means, vocabulary, accumulate } = mean;
  const shared = { ...params, share: 1 / vocabulary, accumulate };
  softCapKernels.forward_mean(gpu, { logits, means }, shared, constants);
}
