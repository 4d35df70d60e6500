/**
 * Sums over many rows, such as the gradient of a bias over tokens, in parts that one dispatch each may loop over
 * (`gpu/loops.ts`): the first part sets or adds, the others add, in order. It runs no kernel.
 */
import type { Gpu } from '../gpu/device.ts';
import type { BufferView } from '../gpu/pool.ts';
import type { Tensor } from '../tensor/tensor.ts';

export interface SumPart {
  first: number;
  count: number;
}

/** Parts begin at multiples of this, so that views of rows of any width may. */
const STEP = 64;

/** The parts of a sum over `length` rows, each of which takes so many iterations; mostly there is one. */
export function partsOf({ loopLimit }: Gpu, length: number, perRow = 1): SumPart[] {
  const most = Math.max(STEP, Math.floor((loopLimit / perRow - 1) / STEP) * STEP);
  return Array.from({ length: Math.max(1, Math.ceil(length / most)) }, (_, i) => {
    const first = i * most;
    return { first, count: Math.min(most, length - first) };
  });
}

/** Those rows of a part, of a tensor that has `rows` of them. */
export function rowsOfPart(tensor: Tensor, rows: number, { first, count }: SumPart): BufferView {
  const rowBytes = (tensor.length / rows) * 4;
  return { buffer: tensor.buffer, offset: tensor.offset + first * rowBytes, size: count * rowBytes };
}

/** A matrix without its first numbers: columns where it keeps its stride. Blocks begin where this is a border for bindings. */
export function behind({ buffer, offset, size }: BufferView, first: number): BufferView {
  return { buffer, offset: offset + 4 * first, size: size - 4 * first };
}
