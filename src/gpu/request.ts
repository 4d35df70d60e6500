/**
 * Creates a device in a page or a worker: from the browser's WebGPU or the caller's device, or an error that tells the user
 * what to do.
 */
import { Gpu, type GpuOptions } from './device.ts';
import { NoAdapterError } from './errors.ts';

export interface RequestOptions extends GpuOptions {
  /**
   * Your own device, for example of ONNX Runtime Web or three.js, so that buffers can be exchanged. It is neither extended
   * nor destroyed. See {@link Gpu.on}.
   */
  device?: GPUDevice | undefined;
}

/** A device of this page or worker. Throws {@link NoAdapterError} that tells the user what to do. */
export async function requestGpu({ device, ...options }: RequestOptions = {}): Promise<Gpu> {
  if (device) return Gpu.on(device, options);
  const source = globalThis.navigator?.gpu;
  if (source) return Gpu.request(source, options);
  throw new NoAdapterError(
    'WebGPU is not available here. Use a current Chrome, Edge, Safari or Firefox, over HTTPS or from localhost; ' +
      'in Node use requestGpu from webalign/node.',
  );
}
