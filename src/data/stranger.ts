/**
 * Work that a stranger's file decides on: what a chat template renders, what the patterns of a tokenizer match. Templates count their
 * steps; a regular expression cannot be counted, only ended. In Node such work has a deadline (`src/node/deadline.ts`). A page does
 * it in a worker, whose guard reports when it begins and ends, so that the page can terminate the worker.
 */

import { SLICE_MS, type Sliced } from '../base/slices.ts';

/** Runs `work`, and may interrupt it; `where` names the file for the error. */
export type Guard = <T>(work: () => T, where: () => string) => T;

/** Without a guard, work is never interrupted. */
let guard: Guard = (work) => work();

/**
 * From now on all tokenizing in this program runs inside `next`. Returns the guard that it replaces. Calls may be nested.
 */
export function useGuard(next: Guard): Guard {
  const before = guard;
  guard = next;
  return before;
}

export const guarded: Guard = (work, where) => guard(work, where);

/**
 * The results of `each` for the items. A guard gets one slice at a time, so that its deadline applies to one item rather
 * than to all.
 */
export function* mapGuarded<A, B>(
  items: readonly A[],
  where: (item: A, index: number) => string,
  each: (item: A, index: number) => B,
): Sliced<B[]> {
  const made: B[] = [];
  const turn = () => {
    const end = performance.now() + SLICE_MS;
    do {
      const index = made.length;
      made.push(each(items[index], index));
    } while (made.length < items.length && performance.now() < end);
  };
  while (made.length < items.length) {
    guard(turn, () => where(items[made.length], made.length));
    yield { done: made.length, total: items.length };
  }
  return made;
}
