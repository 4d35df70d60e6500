/**
 * Buffers that are used again and again: a released buffer waits for the next request that it fits, so that a training step
 * allocates nothing after its first run and gets the same buffers in the same order. Counts live and
 * peak bytes and keeps to the user's cap. It never waits for a garbage collector.
 */
import { MemoryCapError } from './errors.ts';

/** A part of a buffer: what a kernel binds. Offsets are multiples of 256 bytes. */
export interface BufferView {
  readonly buffer: GPUBuffer;
  /** Bytes. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

export interface MemoryReport {
  /** Bytes in use now. */
  live: number;
  /** The most bytes ever held on the device at once, waiting buffers included. */
  peak: number;
  /** Bytes held now, waiting buffers included. */
  reserved: number;
  /** Buffers created since the start; a steady step creates none. */
  created: number;
}

/**
 * Without larger buffers for smaller requests a run holds 197 MiB where 77 are the least (the embedded task at batch 16), with
 * them 120, and 117 whatever their size.
 */
const MOST_SPARE = 2;

export class BufferPool {
  /** Waiting buffers by size class, the oldest last: a step that asks in the same order gets the same buffers. */
  private readonly free = new Map<number, GPUBuffer[]>();
  private readonly ages = new WeakMap<GPUBuffer, number>();
  private readonly held = new Set<GPUBuffer>();
  private live = 0;
  private peak = 0;
  private reserved = 0;
  private created = 0;

  constructor(
    private readonly create: (size: number, label: string) => GPUBuffer,
    private readonly beforeDestroy: () => void,
    /** Most bytes to hold; Infinity for none. */
    readonly cap: number = Number.POSITIVE_INFINITY,
    /** Bytes of the largest buffer that the device can make. */
    private readonly largest: number = Number.POSITIVE_INFINITY,
  ) {}

  /**
   * A view of at least `size` bytes, contents undefined, in a buffer up to `spare` times as large. What is held for long
   * asks for 1: a larger buffer would be missed. Throws {@link MemoryCapError}.
   */
  allocate(size: number, label: string, spare = MOST_SPARE): BufferView {
    const bytes = this.bytesFor(size);
    let buffer = this.waiting(bytes, spare * bytes);
    if (!buffer) {
      if (this.reserved + bytes > this.cap) this.trim();
      if (this.reserved + bytes > this.cap) throw new MemoryCapError(this.reserved + bytes, this.cap, label);
      buffer = this.create(bytes, label);
      this.ages.set(buffer, this.created++);
      this.held.add(buffer);
      this.reserved += bytes;
      this.peak = Math.max(this.peak, this.reserved);
    }
    this.live += buffer.size;
    return { buffer, offset: 0, size: Math.max(4, Math.ceil(size / 4) * 4) };
  }

  /** Bytes of a buffer that is made for a view of `size` bytes. */
  bytesFor(size: number): number {
    return sizeClass(size, this.largest);
  }

  /** Gives a view back. Commands already recorded may still use it: the queue runs in order. */
  release(view: BufferView): void {
    const bytes = view.buffer.size;
    this.live -= bytes;
    const waiting = this.free.get(bytes) ?? [];
    const age = this.age(view.buffer);
    let at = waiting.length;
    while (at > 0 && this.age(waiting[at - 1]) < age) at--;
    waiting.splice(at, 0, view.buffer);
    this.free.set(bytes, waiting);
  }

  /** Destroys the waiting buffers. */
  trim(): void {
    this.beforeDestroy();
    for (const [bytes, buffers] of this.free) {
      for (const buffer of buffers) {
        buffer.destroy();
        this.held.delete(buffer);
      }
      this.reserved -= bytes * buffers.length;
    }
    this.free.clear();
  }

  report(): MemoryReport {
    return { live: this.live, peak: this.peak, reserved: this.reserved, created: this.created };
  }

  /** The buffers held now, waiting ones included; each has the label of what it was made for. */
  buffers(): Iterable<GPUBuffer> {
    return this.held;
  }

  /** Starts a new peak from what is held now. */
  resetPeak(): void {
    this.peak = this.reserved;
  }

  /** The smallest waiting buffer of a size class, or of a larger one up to `most`. */
  private waiting(bytes: number, most: number): GPUBuffer | undefined {
    let best = Number.POSITIVE_INFINITY;
    for (const [size, buffers] of this.free) {
      if (buffers.length > 0 && size >= bytes && size <= most) best = Math.min(best, size);
    }
    return this.free.get(best)?.pop();
  }

  private age(buffer: GPUBuffer): number {
    return this.ages.get(buffer) ?? 0;
  }
}

/**
 * Rounds up to 256 bytes, and above 4 KiB to a quarter of the size's power of two: coarse enough that batches of
 * different lengths share their buffers, at the price of a tenth of the bytes on average. What would be too large for the
 * device then is rounded up to 256 bytes alone.
 */
function sizeClass(size: number, largest: number): number {
  const step = size <= 4096 ? 256 : 2 ** Math.floor(Math.log2(size)) / 4;
  const wide = Math.max(256, Math.ceil(size / step) * step);
  return wide <= largest ? wide : Math.ceil(size / 256) * 256;
}
