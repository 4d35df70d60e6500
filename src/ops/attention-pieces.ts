/**
 * Splits attention over many keys or queries into several dispatches, because a kernel may only make a limited number of
 * iterations (`gpu/loops.ts`). Each dispatch processes a range of the packed batch. They process the batch in the order of
 * a single dispatch, so the result is bit-identical. This file runs no kernel; `attention.ts` does.
 */
import type { Gpu } from '../gpu/device.ts';
import type { GradientSlot, Tape } from '../tensor/tape.ts';
import { copyInto } from './add.ts';

/** The range of one dispatch, under the shader's names: keys, or for key gradients queries and query heads. */
export interface Piece {
  start: number;
  stop: number;
  from_head: number;
  to_head: number;
}

/** The maximum work of one dispatch of a variant. */
export interface Reach {
  /** Keys. */
  keys: number;
  /** Queries times the query heads that share a key head, for key gradients. */
  queries: number;
  /** Whether the kernel's inner loop runs over heads, and the outer one over queries. */
  headsInside: boolean;
}

/** Ranges start at multiples of this, the tile size of the workgroup kernels. */
const STEP = 32;

/** Items that fit into the limit, at `perItem` iterations each, after `spent` iterations for the rest of the kernel. */
export function reachOf({ loopLimit }: Pick<Gpu, 'loopLimit'>, spent: number, perItem: number): number {
  return Math.floor((loopLimit - spent) / perItem);
}

/** The dispatches of a forward pass and of query gradients: usually one. */
export function keyPieces({ keys }: Reach, tokens: number, sharedBy: number): Piece[] {
  return stretches(keys, tokens).map((stretch) => ({ ...stretch, from_head: 0, to_head: sharedBy }));
}

/** The dispatches of key and value gradients, where `sharedBy` query heads share a key head: usually one. */
export function queryPieces({ queries, headsInside }: Reach, tokens: number, sharedBy: number): Piece[] {
  if (headsInside) {
    const inside = { from_head: 0, to_head: sharedBy };
    return stretches(queries / sharedBy, tokens).map((stretch) => ({ ...stretch, ...inside }));
  }
  const heads = Math.max(1, Math.min(sharedBy, Math.floor(queries / tokens)));
  return Array.from({ length: Math.ceil(sharedBy / heads) }, (_, i) => i * heads).flatMap((from_head) => {
    const to_head = Math.min(from_head + heads, sharedBy);
    return stretches(queries / heads, tokens).map((stretch) => ({ ...stretch, from_head, to_head }));
  });
}

function stretches(most: number, tokens: number): { start: number; stop: number }[] {
  const step = Math.max(STEP, Math.floor(most / STEP) * STEP);
  return Array.from({ length: Math.max(1, Math.ceil(tokens / step)) }, (_, i) => {
    const start = i * step;
    return { start, stop: Math.min(start + step, tokens) };
  });
}

/**
 * Calls `run` with the buffers for gradients. Several dispatches keep running sums in these buffers, so a gradient that
 * accumulates is computed in a temporary first and added afterwards.
 */
export function gradientsOfPieces<const T extends readonly GradientSlot[]>(
  tape: Tape,
  pieces: readonly Piece[],
  slots: T,
  run: (slots: { [K in keyof T]: GradientSlot }) => void,
): void {
  if (pieces.length === 1) {
    run(slots as { [K in keyof T]: GradientSlot });
    return;
  }
  const sums = slots.map(({ grad, accumulate }) =>
    accumulate ? tape.empty(grad.shape, `pieces of ${grad.label}`) : grad,
  );
  run(sums.map((grad) => ({ grad, accumulate: 0 })) as { [K in keyof T]: GradientSlot });
  for (const [i, { grad, accumulate }] of slots.entries()) {
    const sum = sums[i];
    if (!accumulate) continue;
    copyInto(tape.gpu, sum, grad, 1);
    tape.release(sum);
  }
}
