/**
 * Waiting for the device in Firefox, which looks for finished work about ten times a second, and whenever something is submitted. A
 * copy of 1 KiB and its map take 100 ms (Firefox 153), and 5 ms where empty submits make it look. Other engines report
 * finished work themselves.
 */

/** Milliseconds between two empty submits. */
const PAUSE_MS = 2;

/** Returns an answer of the device as it is, after making sure that it arrives soon. */
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
