/**
 * WebGPU for all contestants of one process in Node: the adapter that webalign uses there, provided to peers as a browser
 * provides it. In Node a software adapter runs without the clamping of indices; a library whose kernels read past the end
 * of a buffer gets the same adapter with clamping, as in browsers.
 */
import { createRequire } from 'node:module';
import { create } from 'webgpu';
import { requestNodeGpu } from '../../src/node/adapter.ts';

export interface SharedGpu {
  gpu: GPU;
  notice: string | undefined;
  /** Sets which of the two `navigator.gpu` is from now on. */
  offer(clamping: boolean): void;
}

export async function sharedGpu(): Promise<SharedGpu> {
  const { gpu, software, notice } = await requestNodeGpu();
  const clamped = software ? create([]) : gpu;
  const browser = { gpu, userAgent: 'Node', hardwareConcurrency: 1 };
  Object.defineProperty(globalThis, 'navigator', { value: browser, configurable: true });
  // One of the peers imports Node's modules this way.
  Object.assign(globalThis, { require: createRequire(import.meta.url) });
  const offer = (clamping: boolean) => {
    browser.gpu = clamping ? clamped : gpu;
  };
  return { gpu, notice, offer };
}
