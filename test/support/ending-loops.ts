/**
 * A device that behaves like Mesa's llvmpipe: it silently ends every loop of a shader after a number of iterations of all its
 * loops together. Shaders are rewritten to this effect, so that it works on any adapter.
 */
import type { Gpu } from '../../src/gpu/device.ts';
import { freshGpu } from './gpu.ts';
import { endingLoops } from './wgsl-loops.ts';

/** A new device that allows `most` iterations. The test disposes of it. */
export async function gpuEndingLoops(most: number): Promise<Gpu> {
  const gpu = await freshGpu();
  const { device } = gpu;
  const { createShaderModule } = device;
  device.createShaderModule = ({ code, ...rest }) =>
    createShaderModule.call(device, { ...rest, code: endingLoops(code, most) });
  return gpu;
}
