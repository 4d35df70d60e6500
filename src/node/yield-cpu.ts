/**
 * Leaves the CPU to a software adapter. While waiting for the device, Dawn in Node polls it in every turn of the event loop
 * and keeps a core busy; with a software adapter that core is needed for the work itself. So during waits, each turn sleeps
 * for a millisecond. On two cores this nearly doubles the speed. Never used with a hardware GPU.
 */
const SLEEP_MS = 1;

const cell = new Int32Array(new SharedArrayBuffer(4));
let awaited = 0;
/** At most one turn is scheduled. A wait that starts right after another ends must not schedule a second series. */
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

/** The methods of Dawn's classes that wait for the device: Dawn's own threads do the work. */
const WAITS = {
  GPUQueue: 'onSubmittedWorkDone',
  GPUBuffer: 'mapAsync',
  GPUDevice: 'createComputePipelineAsync',
} as const;

type Wait = (this: unknown, ...args: unknown[]) => Promise<unknown>;

/** Observes every wait for the device; `globals` are Dawn's classes. */
export function yieldCpuWhileWaiting(globals: object): void {
  for (const [name, method] of Object.entries(WAITS)) {
    const { prototype } = (globals as Record<string, { prototype: Record<string, Wait> }>)[name];
    const wait = prototype[method];
    prototype[method] = function (...args) {
      return watch(wait.apply(this, args));
    };
  }
}
