/** Determines the resources of some work by running it on a counting device. Computes nothing. */
import type { Gpu } from './device.ts';
import type { PipelineKey } from './pipelines.ts';
import type { HeldBuffer } from './pool.ts';

export interface Rehearsal {
  /** Maximum bytes in use. */
  bytes: number;
  /** The buffers at that time. */
  buffers: readonly HeldBuffer[];
  /** The kernels, for `Gpu.compile`. */
  pipelines: readonly PipelineKey[];
}

/**
 * Runs work on a new counting device: returns the memory that it needs in addition to the device's current use, and its
 * kernels.
 */
export function rehearse(gpu: Gpu, work: (counting: Gpu) => void): Rehearsal {
  const counting = gpu.countingCopy();
  work(counting);
  return {
    bytes: counting.memory().peak,
    buffers: counting.pool.buffers(),
    pipelines: counting.wantedPipelines,
  };
}
