/** What some work will take, found by going through it on a device that only counts. Computes nothing. */
import type { Gpu } from './device.ts';
import type { PipelineKey } from './pipelines.ts';

/** A buffer by what it was made for. */
export interface LabelledBuffer {
  readonly label: string;
  readonly size: number;
}

export interface Rehearsal {
  /** Most bytes that the work holds. */
  bytes: number;
  /** What they are made of. */
  buffers: readonly LabelledBuffer[];
  /** The kernels, for `Gpu.compile`. */
  pipelines: readonly PipelineKey[];
}

/** Does work on a counting device of its own: what it will hold beside what the device holds, and which kernels it runs. */
export function rehearse(gpu: Gpu, work: (counting: Gpu) => void): Rehearsal {
  const counting = gpu.countingCopy();
  work(counting);
  const buffers = Array.from(counting.pool.buffers(), ({ label, size }) => ({ label, size }));
  return { bytes: counting.memory().peak, buffers, pipelines: counting.wantedPipelines };
}
