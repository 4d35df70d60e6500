/**
 * A stack of linear layers for decoding: their concatenated float32 weights with adapters added and the preceding norm's
 * weight multiplied in, followed by their biases. Has one more rounding than the separate layers. Records nothing.
 */
import shader from '../../shaders/decode/fold.wgsl';
import type { Gpu } from '../gpu/device.ts';
import type { BufferView } from '../gpu/pool.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { LowRank } from './linear.ts';
import { behind } from './parts.ts';
import { bound, formatOf, weightKernels } from './weights.ts';

const vectors = { threads: (p: Readonly<Record<string, number>>) => p.count };

export const foldKernels = weightKernels(shader, 'four', {
  unpack: vectors,
  add_low_rank: { threads: (p) => p.count / 4 },
  apply_gain: vectors,
});

/** A linear layer of a stack. */
export interface FoldedPart {
  /** (out, k) */
  weight: Tensor;
  /** (out) */
  bias?: Tensor | undefined;
  adapters: readonly LowRank[];
}

export interface Gain {
  /** (k) */
  weight: Tensor;
  /** Whether 1 is added to it. */
  offset: boolean;
}

/** Length of a stack of these parts, including biases if any part has one. */
export function stackLength(parts: readonly FoldedPart[]): number {
  const rows = parts.reduce((sum, { weight }) => sum + weight.rows, 0);
  const { cols } = parts[0].weight;
  return rows * cols + (parts.some(({ bias }) => bias) ? rows : 0);
}

/** Fills a stack of {@link stackLength} numbers. Both dimensions of the weights are multiples of 4. */
export function fold(
  gpu: Gpu,
  parts: readonly FoldedPart[],
  gain: Gain | undefined,
  stack: BufferView,
): void {
  const k = parts[0].weight.cols;
  const depth = k / 4;
  const rows = parts.reduce((sum, { weight }) => sum + weight.rows, 0);
  if (parts.some(({ bias }) => bias)) gpu.recorder.clear(stack);
  let first = 0;
  for (const { weight, bias, adapters } of parts) {
    const params = { count: weight.rows * depth, first: first * depth, depth, rank: 0, scale: 1 };
    foldKernels[formatOf(weight)].unpack(gpu, { weights: bound(weight), y: stack }, params);
    for (const { a, b, scale } of adapters) {
      const ofPair = { ...params, rank: a.rows, scale };
      foldKernels.f32.add_low_rank(gpu, { narrow: a, wide: b, y: stack }, ofPair);
    }
    if (bias) gpu.recorder.copy(bias, behind(stack, rows * k + first), 4 * weight.rows);
    first += weight.rows;
  }
  if (!gain) return;
  const params = { count: rows * depth, first: 0, depth, rank: 0, scale: 1 };
  foldKernels.f32.apply_gain(gpu, { gain: gain.weight, y: stack }, params, { OFFSET: gain.offset });
}
