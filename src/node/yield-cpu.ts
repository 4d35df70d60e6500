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

/** What Dawn's classes promise about work of the device: its own threads do it, and the caller only waits. */
const WAITS = {
  GPUQueue: 'onSubmittedWorkDone',
  GPUBuffer: 'mapAsync',
  GPUDevice: 'createComputePipelineAsync',
} as const;

type Wait = (this: unknown, ...args: unknown[]) => Promise<unknown>;

/** Watches every wait for the device from now on; `globals` are Dawn's classes. */
export function yieldCpuWhileWaiting(globals: object): void {
  for (const [name, method] of Object.entries(WAITS)) {
    const { prototype } = (globals as Record<string, { prototype: Record<string, Wait> }>)[name]!;
    const wait = prototype[method]!;
    prototype[method] = function (...args) {
      return watch(wait.apply(this, args));
    };
  }
}
