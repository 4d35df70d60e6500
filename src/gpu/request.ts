/**
 * The way to a device in a page or a worker: the browser's own WebGPU or the caller's device, or an error that says what a
 * person can do.
 */
import { Gpu, type GpuOptions } from './device.ts';
import { NoAdapterError } from './errors.ts';

export interface RequestOptions extends GpuOptions {
  /**
   * A device of your own to work on, that of ONNX Runtime Web or three.js say, so that your buffers can be used here and ours
   * there. It is neither asked for more nor destroyed. See {@link Gpu.on}.
   */
  device?: GPUDevice | undefined;
}

/** A device of this page or worker. Throws {@link NoAdapterError} with what a person can do about it. */
export async function requestGpu({ device, ...options }: RequestOptions = {}): Promise<Gpu> {
  if (device) return Gpu.on(device, options);
  const source = globalThis.navigator?.gpu;
  if (source) return Gpu.request(source, options);
  throw new NoAdapterError(
    'This browser has no WebGPU here. Use a current Chrome, Edge, Safari or Firefox, over HTTPS or from localhost; ' +
      'in Node take requestGpu from webalign/node.',
  );
}
