/**
 * Counts what any library asks of WebGPU: bytes of its buffers, dispatches, submits. The same wrapper is around every
 * contestant's device, so that no library's own counts are needed. Installed once per process; it does not change the
 * calls.
 */

/** Bytes of one device's buffers. */
interface Bytes {
  live: number;
  peak: number;
}

export interface Counts {
  dispatches: number;
  submits: number;
}

const bytesOf = new WeakMap<GPUDevice, Bytes>();
const owners = new WeakMap<GPUBuffer, Bytes>();
const counts: Counts = { dispatches: 0, submits: 0 };
let installed = false;

/** Wraps the global classes of WebGPU. Must be called before the first device is created. */
export function installWatch(): void {
  if (installed) return;
  installed = true;
  wrap(GPUDevice.prototype, 'createBuffer', (buffer, device) => {
    const bytes = bytesOf.get(device) ?? { live: 0, peak: 0 };
    bytesOf.set(device, bytes);
    owners.set(buffer, bytes);
    bytes.live += buffer.size;
    bytes.peak = Math.max(bytes.peak, bytes.live);
  });
  wrap(GPUBuffer.prototype, 'destroy', (_, buffer) => {
    const bytes = owners.get(buffer);
    // A buffer may be destroyed twice.
    if (bytes && owners.delete(buffer)) bytes.live -= buffer.size;
  });
  const dispatched = () => void counts.dispatches++;
  wrap(GPUComputePassEncoder.prototype, 'dispatchWorkgroups', dispatched);
  wrap(GPUComputePassEncoder.prototype, 'dispatchWorkgroupsIndirect', dispatched);
  wrap(GPUQueue.prototype, 'submit', () => void counts.submits++);
}

/** Calls `seen` with the result and the object after every call of a method. */
function wrap<Host extends object, Name extends keyof Host>(
  prototype: Host,
  name: Name,
  seen: (result: Host[Name] extends (...given: never[]) => infer R ? R : never, self: Host) => void,
): void {
  const original = prototype[name] as (this: Host, ...given: unknown[]) => never;
  const wrapped = function (this: Host, ...given: unknown[]) {
    const result = original.apply(this, given);
    seen(result, this);
    return result;
  };
  prototype[name] = wrapped as Host[Name];
}

/** The most bytes since the last reset; a reset starts from what is held now. */
export function takePeak(device: GPUDevice): number {
  const bytes = bytesOf.get(device);
  if (!bytes) return 0;
  const { peak } = bytes;
  bytes.peak = bytes.live;
  return peak;
}

/** Counts so far, of all devices together. */
export function countsNow(): Counts {
  return { ...counts };
}
