/**
 * Long CPU work in slices: a generator that reports its progress. A caller runs it to the end at once, or in slices with
 * a free event loop in between, so that a page stays responsive and signals are received.
 */

/** Progress of the work; all items count equally. */
export interface Progress {
  done: number;
  total: number;
}

/** Work that yields at least every {@link SLICE_MS}, unless a single item takes longer. */
export type Sliced<Result> = Generator<Progress, Result>;

export interface SliceOptions {
  /** Stops the work with its reason. */
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

/** Milliseconds of a slice: below the 100 that a person notices. */
export const SLICE_MS = 40;

/** Runs the work at once and returns its result. */
export function atOnce<Result>(work: Sliced<Result>): Result {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/** The same, but yields to the event loop after every slice. */
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

/** The results of `each` for the items. */
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

/** Yields to other tasks; a timer would wait for milliseconds, and for a second in a hidden page. */
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
