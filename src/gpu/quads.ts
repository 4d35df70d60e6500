/**
 * Tests the exchange between threads that the quad kernels rely on, once per device.
 */
import shader from '../../shaders/device/quads.wgsl';
import { wordsAfter } from './trial.ts';

/**
 * The values that four threads, which hold 10 to 13, must receive from the horizontal neighbor, the vertical neighbor, and
 * threads 1 and 2.
 */
const RECEIVED = [0, 1, 2, 3].flatMap((part) => [10 + (part ^ 1), 10 + (part ^ 2), 11, 12]);

/** Whether the threads of a quad exchange values correctly on this device, which has the feature `subgroups`. */
export async function quadsExchange(device: GPUDevice): Promise<boolean> {
  const words = new Uint32Array(RECEIVED.length);
  const found = await wordsAfter(device, { shader, entry: 'exchange', words });
  return found !== undefined && RECEIVED.every((number, i) => found[i] === number);
}
