/**
 * Long work of the CPU in slices: a generator that tells how far it is. A caller runs it through at once, or in slices between which
 * the event loop is free, so that a page answers and a signal is heard.
 */

/** How far work is; each of the items counts alike. */
export interface Progress {
  done: number;
  total: number;
}

/** Work that yields at least every {@link SLICE_MS}, where one item does not take longer. */
export type Sliced<Result> = Generator<Progress, Result>;

export interface SliceOptions {
  /** Stops the work with its reason. */
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

/** Milliseconds of a slice: below the 100 that a person notices. */
export const SLICE_MS = 40;

/** What the work returns, in one go. */
export function atOnce<Result>(work: Sliced<Result>): Result {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/** The same with the event loop free after every slice. */
export async function inSlices<Result>(
  work: Sliced<Result>,
  { signal, onProgress }: SliceOptions = {},
): Promise<Result> {
  for (;;) {
    signal?.throwIfAborted();
    const { done, value } = work.next();
    if (done) return value;
    onProgress?.(value);
    await pause();
  }
}

/** What `each` makes of the items. */
export function* mapSliced<A, B>(items: readonly A[], each: (item: A, index: number) => B): Sliced<B[]> {
  const made: B[] = [];
  let end = performance.now() + SLICE_MS;
  for (const [index, item] of items.entries()) {
    made.push(each(item, index));
    if (performance.now() < end) continue;
    yield { done: made.length, total: items.length };
    end = performance.now() + SLICE_MS;
  }
  return made;
}

/** Lets whatever waits have its turn; a timer would wait for milliseconds, and for a second in a page that is hidden. */
function pause(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
