/** Reads a ring of steps: the rows of a tensor, of which a later step overwrites the oldest one. */
import type { BufferView } from '../gpu/pool.ts';
import type { Recorder } from '../gpu/recorder.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** A view of some words of a tensor. */
export function wordsOf({ buffer, offset }: Tensor, first: number, words: number): BufferView {
  return { buffer, offset: offset + first * 4, size: words * 4 };
}

/** The rows of the steps [from, end), at most as many as the ring has: one range, or two if the ring ends in between. */
export async function readRing(
  recorder: Recorder,
  ring: Tensor,
  from: number,
  end: number,
): Promise<ArrayBuffer> {
  const { rows, cols } = ring;
  const start = from % rows;
  const before = Math.min(end - from, rows - start);
  const first = recorder.read(wordsOf(ring, start * cols, before * cols));
  if (before === end - from) return first;
  const rest = recorder.read(wordsOf(ring, 0, (end - from - before) * cols));
  const parts = await Promise.all([first, rest]);
  const whole = new Uint8Array(4 * (end - from) * cols);
  for (const [i, part] of parts.entries()) whole.set(new Uint8Array(part), i * 4 * before * cols);
  return whole.buffer;
}
