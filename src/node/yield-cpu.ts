/**
 * Leaves the processor to a software adapter. While an answer of the device is awaited, Dawn in Node asks for it in every
 * turn of the event loop and keeps a core busy with asking; where the CPU stands in for a GPU that core is needed for the
 * work itself. So as long as something is awaited, each turn sleeps a millisecond. On two cores this nearly doubles the
 * speed. Never used beside a hardware GPU.
 */
const SLEEP_MS = 1;

const cell = new Int32Array(new SharedArrayBuffer(4));
let awaited = 0;
/** One turn at most is on its way. A wait that ends and another that begins in between must not start a second row of them. */
let turning = false;

function turn(): void {
  turning = awaited > 0;
  if (!turning) return;
  Atomics.wait(cell, 0, 0, SLEEP_MS);
  setImmediate(turn);
}

function watch<T>(answer: Promise<T>): Promise<T> {
  awaited++;
  if (!turning) setImmediate(turn);
  turning = true;
  const done = () => {
    awaited--;
  };
  answer.then(done, done);
  return answer;
}

/** Watches every wait for the device from now on; `globals` are Dawn's classes. */
export function yieldCpuWhileWaiting(globals: object): void {
  const { GPUQueue, GPUBuffer } = globals as {
    GPUQueue: { prototype: GPUQueue };
    GPUBuffer: { prototype: GPUBuffer };
  };
  const { onSubmittedWorkDone } = GPUQueue.prototype;
  GPUQueue.prototype.onSubmittedWorkDone = function () {
    return watch(onSubmittedWorkDone.call(this));
  };
  const { mapAsync } = GPUBuffer.prototype;
  GPUBuffer.prototype.mapAsync = function (...args) {
    return watch(mapAsync.apply(this, args));
  };
}
