/**
 * Splits a sum over many rows, such as the gradient of a bias over tokens, into several dispatches, because a kernel may
 * only make a limited number of iterations (`gpu/loops.ts`). The first dispatch sets or adds, the others add. This file
 * runs no kernel.
 */
import type { Gpu } from '../gpu/device.ts';
import type { BufferView } from '../gpu/pool.ts';
import type { Tensor } from '../tensor/tensor.ts';

export interface SumPart {
  first: number;
  count: number;
}

/** Parts start at multiples of this, which aligns views for any row width. */
const STEP = 64;

/** The parts of a sum over `length` rows, at `perRow` iterations each; usually one. */
export function partsOf({ loopLimit }: Gpu, length: number, perRow = 1): SumPart[] {
  const most = Math.max(STEP, Math.floor((loopLimit / perRow - 1) / STEP) * STEP);
  return Array.from({ length: Math.max(1, Math.ceil(length / most)) }, (_, i) => {
    const first = i * most;
    return { first, count: Math.min(most, length - first) };
  });
}

/** The rows of a part as a view of a tensor with `rows` rows. */
export function rowsOfPart(tensor: Tensor, rows: number, { first, count }: SumPart): BufferView {
  const rowBytes = (tensor.length / rows) * 4;
  return { buffer: tensor.buffer, offset: tensor.offset + first * rowBytes, size: count * rowBytes };
}

/** A view that skips the first numbers of a matrix: whole rows, or columns if the stride is kept. The start must be aligned. */
export function behind({ buffer, offset, size }: BufferView, first: number): BufferView {
  return { buffer, offset: offset + 4 * first, size: size - 4 * first };
}
