/**
 * An exponential moving average of a long buffer, for a reference that follows the policy.
 */
import shader from '../../shaders/optimizer/moving-average.wgsl';
import type { Gpu } from '../gpu/device.ts';
import { kernels } from '../gpu/kernel.ts';
import type { BufferView } from '../gpu/pool.ts';

export const movingAverageKernels = kernels(shader, { step: { threads: (p) => p.count } });

/** values (n), average (n): average ← α values + (1 − α) average. */
export function movingAverage(gpu: Gpu, values: BufferView, average: BufferView, alpha: number): void {
  if (values.size !== average.size) {
    throw new RangeError(
      `movingAverage: ${values.size} bytes of values do not match ${average.size} bytes of the average`,
    );
  }
  movingAverageKernels.step(gpu, { values, average }, { count: values.size / 4, alpha });
}
