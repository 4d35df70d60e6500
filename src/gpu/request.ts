/**
 * The way to a device in a page or a worker: the browser's own WebGPU, or an error that says what a person can do.
 */
import { Gpu, type GpuOptions } from './device.ts';
import { NoAdapterError } from './errors.ts';

/** A device of this page or worker. Throws {@link NoAdapterError} with what a person can do about it. */
export async function requestGpu(options?: GpuOptions): Promise<Gpu> {
  const source = globalThis.navigator?.gpu;
  if (source) return Gpu.request(source, options);
  throw new NoAdapterError(
    'This browser has no WebGPU here. Use a current Chrome, Edge, Safari or Firefox, over HTTPS or from localhost; ' +
      'in Node take requestGpu from webalign/node.',
  );
}
