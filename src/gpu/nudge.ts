/**
 * Waits for the device in Firefox, which checks for finished work about ten times per second and at every submit. A copy of
 * 1 KiB and its map take 100 ms (Firefox 153), or 5 ms with empty submits in between. Other engines report finished work
 * without this.
 */

/** Milliseconds between two empty submits. */
const PAUSE_MS = 2;

/** Returns an answer of the device unchanged, and makes sure that it arrives soon. */
export type Await = <T>(answer: Promise<T>) => Promise<T>;

/** How to wait for answers of this queue, in this engine. */
export function soon(queue: Pick<GPUQueue, 'submit'>, engine = globalThis.navigator?.userAgent): Await {
  return engine?.includes('Firefox/') ? nudging(queue) : (answer) => answer;
}

function nudging(queue: Pick<GPUQueue, 'submit'>): Await {
  let awaited = 0;
  let isTurning = false;
  const turn = () => {
    isTurning = awaited > 0;
    if (!isTurning) return;
    queue.submit([]);
    setTimeout(turn, PAUSE_MS);
  };
  const done = () => {
    awaited--;
  };
  return (answer) => {
    awaited++;
    answer.then(done, done);
    if (!isTurning) turn();
    return answer;
  };
}
