/**
 * Splits the vocabulary of the head into strips: their logits must fit into a buffer, and the kernels that add up likely
 * tokens must stay within the loop limit even if all tokens of a strip are likely. Runs no kernel.
 */
import type { Gpu } from '../gpu/device.ts';
import { MOST_THREADS } from '../gpu/loops.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { padded } from './product-size.ts';
import { rowStep } from './weights.ts';

/** Maximum bytes of a strip's buffer, unless the strip would be narrower than {@link STRIP_STEP}. */
const STRIP_BYTES = 16 * 1024 * 1024;
/** Strips start at multiples of at least this, which aligns views of an f32 head to 256 bytes. */
const STRIP_STEP = 64;

/** A range of the vocabulary. */
export interface Strip {
  start: number;
  cols: number;
  /** Row stride of its logits: a multiple of 4, because products read vectors, even for odd vocabulary sizes (GPT-2's). */
  stride: number;
}

/**
 * Splits the vocabulary into strips of equal width, except for a narrower last one: at most half of the vocabulary, so that
 * the whole is never stored, at most {@link STRIP_BYTES} for these rows, and at most `most` tokens. They begin at multiples
 * of `step`.
 */
export function vocabularyStrips(
  rows: number,
  vocabulary: number,
  step = STRIP_STEP,
  most = Number.POSITIVE_INFINITY,
): Strip[] {
  const half = Math.ceil(vocabulary / 2 / step) * step;
  const fitting = Math.floor(Math.min(most, STRIP_BYTES / 4 / Math.max(1, rows)) / step) * step;
  const width = Math.max(step, Math.min(half, fitting));
  const count = Math.ceil(vocabulary / width);
  return Array.from({ length: count }, (_, i) => {
    const start = i * width;
    const cols = Math.min(width, vocabulary - start);
    return { start, cols, stride: padded(cols) };
  });
}

/** The strips of a head: aligned for views, within the binding limit, and if `sparse` within the loop limit. */
export function stripsOf(gpu: Gpu, head: Tensor, rows: number, sparse: boolean): Strip[] {
  const fitting = Math.floor(gpu.limits.maxStorageBufferBindingSize / head.rowBytes);
  const likely = sparse ? mostLikely(gpu, head.cols, MOST_THREADS) : fitting;
  return vocabularyStrips(rows, head.rows, rowStep(head, STRIP_STEP), Math.min(fitting, likely));
}

/** Upper bound of a thread's iterations per likely entry: it adds its share of a row of `width` numbers. */
export function perLikely(width: number, threads: number): number {
  return Math.ceil(width / threads) + 4;
}

/** Maximum entries of one dispatch, all of which may be likely. */
function mostLikely({ loopLimit }: Gpu, width: number, threads: number): number {
  return Math.floor(loopLimit / perLikely(width, threads));
}

/** Workgroup size of a kernel that adds up the likely ones of `count` entries. */
export function threadsOfLikely(gpu: Gpu, count: number, width: number): number {
  let threads = gpu.rowThreads;
  while (count > mostLikely(gpu, width, threads) && threads < MOST_THREADS) threads *= 2;
  return threads;
}
