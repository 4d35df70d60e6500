/**
 * A device as Mesa's llvmpipe is, whatever the real one: each loop of a shader ends, without a word, after so many iterations
 * of all its loops together.
 */
import type { Gpu } from '../../src/gpu/device.ts';
import { freshGpu } from './gpu.ts';
import { endingLoops } from './wgsl-loops.ts';

/** A device of the test's own. */
export async function gpuEndingLoops(most: number): Promise<Gpu> {
  const gpu = await freshGpu();
  const { device } = gpu;
  const { createShaderModule } = device;
  device.createShaderModule = ({ code, ...rest }) =>
    createShaderModule.call(device, { ...rest, code: endingLoops(code, most) });
  return gpu;
}
