/** What some work will take, found by going through it on a device that only counts. Computes nothing. */
import type { Gpu } from './device.ts';
import type { PipelineKey } from './pipelines.ts';
import type { HeldBuffer } from './pool.ts';

export interface Rehearsal {
  /** Most bytes that the work holds. */
  bytes: number;
  /** What they are made of. */
  buffers: readonly HeldBuffer[];
  /** The kernels, for `Gpu.compile`. */
  pipelines: readonly PipelineKey[];
}

/** Does work on a counting device of its own: what it will hold beside what the device holds, and which kernels it runs. */
export function rehearse(gpu: Gpu, work: (counting: Gpu) => void): Rehearsal {
  const counting = gpu.countingCopy();
  work(counting);
  return {
    bytes: counting.memory().peak,
    buffers: counting.pool.buffers(),
    pipelines: counting.wantedPipelines,
  };
}
