/**
 * Work controlled by an untrusted file: rendering a chat template, matching a tokenizer's patterns. Templates count their
 * steps; a regular expression can only be interrupted from outside. In Node such work has a deadline
 * (`src/node/deadline.ts`); a page runs it in a worker that it can terminate.
 */

import { SLICE_MS, type Sliced } from '../base/slices.ts';

/** Runs `work`, and may interrupt it; `where` then names the file or row. */
export type Guard = <T>(work: () => T, where: () => string) => T;

/** Without a guard, work is never interrupted. */
let guard: Guard = (work) => work();

/** Installs `next` as the guard of this program. Returns the previous guard. */
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
      made.push(each(items[index] as A, index));
    } while (made.length < items.length && performance.now() < end);
  };
  while (made.length < items.length) {
    guard(turn, () => where(items[made.length] as A, made.length));
    yield { done: made.length, total: items.length };
  }
  return made;
}
