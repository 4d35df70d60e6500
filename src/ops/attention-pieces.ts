/**
 * Attention over more keys or queries than one dispatch may loop over (`gpu/loops.ts`) is done in pieces: stretches of the
 * packed batch, taken in the order in which one dispatch would go through them, so that the result is the same to the bit. It
 * runs no kernel; `attention.ts` does.
 */
import type { Gpu } from '../gpu/device.ts';
import type { GradientSlot, Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { copyInto } from './add.ts';

/** What a dispatch takes: keys for its queries, or queries of some of the heads that share its keys. The shaders' names. */
export interface Piece {
  start: number;
  stop: number;
  from_head: number;
  to_head: number;
}

/** How far the kernels of a variant may loop. */
export interface Reach {
  /** Keys that a dispatch may go through for its queries. */
  keys: number;
  /** Queries that it may go through for its keys, those of several heads added up. */
  queries: number;
  /** Whether it goes through all heads for some of the queries, and not through all queries for one head. */
  headsInside: boolean;
}

/** Stretches begin at multiples of this: a tile of the workgroup's kernels. */
const STEP = 32;

/** Iterations that are left for `perItem` a time, when some are spent on other things. */
export function reachOf({ loopLimit }: Pick<Gpu, 'loopLimit'>, spent: number, perItem: number): number {
  return Math.floor((loopLimit - spent) / perItem);
}

/** The pieces for queries: mostly one. */
export function keyPieces({ keys }: Reach, tokens: number, sharedBy: number): Piece[] {
  return stretches(keys, tokens).map((stretch) => ({ ...stretch, from_head: 0, to_head: sharedBy }));
}

/** The pieces for keys, which `sharedBy` heads of queries share: mostly one. */
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
 * Calls `run` with where gradients go. Pieces leave running sums there, so where there are several, gradients that are to be
 * added to others are summed in temporaries first.
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
    const sum = sums[i] as Tensor;
    if (!accumulate) continue;
    copyInto(tape.gpu, sum, grad, 1);
    tape.release(sum);
  }
}
