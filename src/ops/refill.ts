/**
 * Gives the rows of finished sequences to waiting ones, on the device, before a step of generation. Records nothing: there is
 * no gradient through a choice.
 */
import shader from '../../shaders/decode/refill.wgsl';
import type { Gpu } from '../gpu/device.ts';
import { kernels } from '../gpu/kernel.ts';
import { threadsOfRow } from '../gpu/loops.ts';
import type { BufferView } from '../gpu/pool.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type LiveSequences, ringOf } from './sample.ts';

export const refillKernels = kernels(shader, { refill: { groups: () => 1 } });

/** Maximum number of rows: a single workgroup looks at all of them (src/gpu/loops.ts). */
export const MOST_ROWS = 2 ** 14;

/** Numbers of a prompt in {@link Waiting}. */
export const PROMPT_COLUMNS = 3;

/** Sequences that wait for a row, in their order. */
export interface Waiting {
  /** (P, 3) u32: a prompt's first cache row, the row after its last, and its last token. */
  prompts: Tensor;
  /** u32: the next sequence. */
  next: BufferView;
  /** Sequences per prompt. */
  copies: number;
}

/** `ready`: number of sequences whose prompts are in the cache. A sequence ends after `longest` tokens. */
export function refill(
  gpu: Gpu,
  { places, tokens, eos }: LiveSequences,
  { prompts, next, copies }: Waiting,
  { step, ready, longest }: { step: number; ready: number; longest: number },
): void {
  const { rows } = places;
  const params = { rows, step, ...ringOf(tokens), longest, copies, ready };
  // Each row is looked at twice, and compared with each id that ends a sequence.
  const WORKGROUP = threadsOfRow(gpu, rows, 2 * (2 + eos.size / 4));
  refillKernels.refill(gpu, { places, tokens, eos, prompts, next }, params, { WORKGROUP });
}
