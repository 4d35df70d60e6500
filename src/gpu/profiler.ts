/**
 * Time per kernel from timestamp queries, if the adapter supports them. Only for measurements, and off by default: it puts
 * every dispatch into a separate pass.
 */
import type { Gpu } from './device.ts';
import { GpuError } from './errors.ts';

const CAPACITY = 2048;

export interface KernelTime {
  label: string;
  calls: number;
  /** Total milliseconds of all calls. */
  milliseconds: number;
}

/**
 * Times every kernel of a device from now on. Throws a {@link GpuError} if the device has no `timestamp-query`. A function rather
 * than a method of the device, so that a page that times nothing does not load it.
 */
export function profile({ device, recorder, guard }: Gpu): Profiler {
  if (!device.features.has('timestamp-query'))
    throw new GpuError('this adapter has no timestamp-query, so kernels cannot be timed');
  recorder.flush();
  recorder.profiler?.dispose();
  recorder.profiler = guard(() => new Profiler(device));
  return recorder.profiler;
}

export class Profiler {
  private readonly queries: GPUQuerySet;
  private readonly resolved: GPUBuffer;
  private labels: string[] = [];
  private readonly totals = new Map<string, KernelTime>();
  /** Slices that are being read, and those whose read failed. */
  private readonly pending = new Set<Promise<void>>();
  private staging: GPUBuffer | undefined;

  constructor(private readonly device: GPUDevice) {
    this.queries = device.createQuerySet({ type: 'timestamp', count: CAPACITY });
    this.resolved = device.createBuffer({ size: CAPACITY * 8, usage: 0x200 | 0x04 }); // QUERY_RESOLVE | COPY_SRC
  }

  /** The timestamp writes of the next dispatch; undefined if this slice is full. */
  next(label: string): GPUComputePassTimestampWrites | undefined {
    const index = this.labels.length * 2;
    if (index + 2 > CAPACITY) return undefined;
    this.labels.push(label);
    return { querySet: this.queries, beginningOfPassWriteIndex: index, endOfPassWriteIndex: index + 1 };
  }

  /** Records the resolution of the slice's timestamps. */
  resolve(encoder: GPUCommandEncoder): void {
    if (this.labels.length === 0) return;
    const bytes = this.labels.length * 16;
    encoder.resolveQuerySet(this.queries, 0, this.labels.length * 2, this.resolved, 0);
    this.staging = this.device.createBuffer({ size: bytes, usage: 0x01 | 0x08 }); // MAP_READ | COPY_DST
    encoder.copyBufferToBuffer(this.resolved, 0, this.staging, 0, bytes);
  }

  /** Starts reading the slice that was just submitted. */
  submitted(): void {
    const { staging, labels } = this;
    if (!staging) return;
    this.staging = undefined;
    this.labels = [];
    const reading = staging.mapAsync(1).then(() => {
      const times = new BigUint64Array(staging.getMappedRange());
      labels.forEach((label, i) => {
        const total = this.totals.get(label) ?? { label, calls: 0, milliseconds: 0 };
        total.calls++;
        total.milliseconds += Number(times[2 * i + 1] - times[2 * i]) / 1e6;
        this.totals.set(label, total);
      });
      staging.destroy();
    });
    this.pending.add(reading);
    // If the device is lost, this rejects before anyone requests the report.
    reading.then(() => this.pending.delete(reading)).catch(() => undefined);
  }

  /** Kernels by time, longest first; waits for submitted work. */
  async report(): Promise<KernelTime[]> {
    await Promise.all(this.pending);
    return [...this.totals.values()].sort((a, b) => b.milliseconds - a.milliseconds);
  }

  dispose(): void {
    this.queries.destroy();
    this.resolved.destroy();
  }
}
