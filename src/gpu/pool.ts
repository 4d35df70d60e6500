/**
 * A pool of buffers: a released buffer is reused for the next request that it fits, so that a training step allocates
 * nothing after its first run and gets the same buffers in the same order. Counts live and peak bytes, enforces the user's
 * cap, and keeps no more free buffers than the run's plan allows. Never depends on garbage collection.
 */
import { MemoryCapError } from './errors.ts';

/** A range of a buffer, which kernels bind. Offsets are multiples of 256 bytes. */
export interface BufferView {
  readonly buffer: GPUBuffer;
  /** Bytes. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

/** The purpose of a buffer. The pool only stores it, for reports of a run's memory. */
export type BufferKind =
  | 'activations'
  | 'adapters'
  | 'batch'
  | 'caches'
  | 'head'
  | 'optimizer'
  | 'reference'
  | 'weights';

/** An existing buffer: its purpose and size. */
export interface HeldBuffer {
  readonly label: string;
  readonly size: number;
  readonly kind: BufferKind;
}

export interface Allocation {
  /** Default: `activations`, which covers everything stored for the backward pass, and gradients. */
  kind?: BufferKind | undefined;
  /**
   * Maximum factor by which a reused buffer may exceed the request. Long-lived buffers use 1, so that they do not block a
   * larger buffer.
   */
  spare?: number;
}

export interface MemoryReport {
  /** Bytes in use now. */
  live: number;
  /** The maximum number of bytes ever reserved on the device, including free buffers. */
  peak: number;
  /** Bytes currently reserved, including free buffers. */
  reserved: number;
  /** Number of buffers created; a steady-state step creates none. */
  created: number;
}

/**
 * Without larger buffers for smaller requests, a run reserves 197 MiB where the minimum is 77 (the embedded task at batch
 * 16); with this limit 120, and without a limit 117.
 */
const MOST_SPARE = 2;
export interface PoolLimits {
  /** Maximum bytes to reserve; default: no limit. */
  cap?: number | undefined;
  /** If true, the cap is not enforced: for a counting device. */
  isCapAdvisory?: boolean;
  /** Size of the largest buffer that the device supports. */
  largest?: number;
}

export class BufferPool {
  /** Free buffers by size class, the oldest last: a step with the same requests gets the same buffers. */
  private readonly free = new Map<number, GPUBuffer[]>();
  private readonly ages = new WeakMap<GPUBuffer, number>();
  private readonly held = new Map<GPUBuffer, BufferKind>();
  private live = 0;
  private peak = 0;
  private reserved = 0;
  private created = 0;
  /** Maximum bytes to reserve; Infinity for no limit. */
  readonly cap: number;
  /**
   * Planned bytes of a run. Above them, free buffers are destroyed before a new one is created. Unlike the cap, it never
   * causes an error.
   */
  budget = Number.POSITIVE_INFINITY;

  constructor(
    private readonly create: (size: number, label: string) => GPUBuffer,
    private readonly beforeDestroy: () => void,
    private readonly limits: PoolLimits = {},
  ) {
    this.cap = limits.cap ?? Number.POSITIVE_INFINITY;
  }

  /**
   * A view of at least `size` bytes, with undefined contents. A reused buffer keeps its original label and kind. Throws
   * {@link MemoryCapError}.
   */
  allocate(
    size: number,
    label: string,
    { kind = 'activations', spare = MOST_SPARE }: Allocation = {},
  ): BufferView {
    const bytes = this.bytesFor(size);
    let buffer = this.waiting(bytes, spare * bytes);
    if (!buffer) {
      this.makeRoom(bytes);
      const needed = this.reserved + bytes;
      if (needed > this.enforcedCap) throw new MemoryCapError(needed, this.cap, label);
      buffer = this.create(bytes, label);
      this.ages.set(buffer, this.created++);
      this.held.set(buffer, kind);
      this.reserved += bytes;
      this.peak = Math.max(this.peak, this.reserved);
    }
    this.live += buffer.size;
    return { buffer, offset: 0, size: Math.max(4, Math.ceil(size / 4) * 4) };
  }

  /** Size of a new buffer for a view of `size` bytes. */
  bytesFor(size: number): number {
    return sizeClass(size, this.limits.largest ?? Number.POSITIVE_INFINITY);
  }

  /**
   * Releases a view. Already recorded commands may still use it, because the queue runs in order. Throws if the buffer was
   * already released, because two requests would then get it.
   */
  release(view: BufferView): void {
    const bytes = view.buffer.size;
    const waiting = this.free.get(bytes) ?? [];
    if (waiting.includes(view.buffer))
      throw new Error(`the buffer "${view.buffer.label}" was released before: release it once`);
    this.live -= bytes;
    const age = this.age(view.buffer);
    let at = waiting.length;
    while (at > 0 && this.age(waiting[at - 1]) < age) at--;
    waiting.splice(at, 0, view.buffer);
    this.free.set(bytes, waiting);
  }

  /**
   * Creates free buffers in advance. Those of the largest step, created first, also serve smaller ones; a run that grows
   * gradually would keep its earlier buffers and reserved a third more.
   */
  reserve(buffers: readonly HeldBuffer[]): void {
    const views = buffers.map(({ label, size, kind }) => this.allocate(size, label, { kind, spare: 1 }));
    for (const view of views) this.release(view);
  }

  /** Destroys the free buffers. */
  trim(): void {
    this.beforeDestroy();
    for (const [bytes, buffers] of this.free) for (const buffer of buffers) this.destroy(buffer, bytes);
    this.free.clear();
  }

  /** Destroys all buffers, including those in use. */
  dispose(): void {
    this.beforeDestroy();
    for (const buffer of this.held.keys()) buffer.destroy();
    this.held.clear();
    this.free.clear();
    this.reserved = 0;
    this.live = 0;
  }

  report(): MemoryReport {
    return { live: this.live, peak: this.peak, reserved: this.reserved, created: this.created };
  }

  /** All buffers, including free ones. */
  buffers(): HeldBuffer[] {
    return Array.from(this.held, ([{ label, size }, kind]) => ({ label, size, kind }));
  }

  /** Resets the peak to the current value. */
  resetPeak(): void {
    this.peak = this.reserved;
  }

  /**
   * Destroys free buffers until `bytes` more fit into budget and cap: first the largest of those too small for the request,
   * so that few are destroyed and large ones are kept; then the larger ones.
   */
  private makeRoom(bytes: number): void {
    const most = Math.min(this.budget, this.enforcedCap) - bytes;
    if (this.reserved <= most) return;
    const waiting = [...this.free].filter(([, buffers]) => buffers.length > 0);
    if (waiting.length === 0) return;
    this.beforeDestroy();
    const rank = ([size]: [number, unknown]) => (size <= bytes ? bytes - size : size);
    for (const [size, buffers] of waiting.sort((a, b) => rank(a) - rank(b))) {
      while (this.reserved > most && buffers.length > 0) this.destroy(buffers.shift()!, size);
    }
  }

  private get enforcedCap(): number {
    return this.limits.isCapAdvisory ? Number.POSITIVE_INFINITY : this.cap;
  }

  private destroy(buffer: GPUBuffer, bytes: number): void {
    buffer.destroy();
    this.held.delete(buffer);
    this.reserved -= bytes;
  }

  /** The smallest free buffer of a size class, or of a larger one up to `most`. */
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
 * Rounds up to 256 bytes, and above 4 KiB to a sixteenth of the size's power of two: coarse enough that batches of similar
 * length share their buffers, at a cost of 3% of the bytes on average. A size that would exceed the device's limit is only
 * rounded up to 256 bytes.
 */
function sizeClass(size: number, largest: number): number {
  const step = size <= 4096 ? 256 : 2 ** Math.floor(Math.log2(size)) / 16;
  const wide = Math.max(256, Math.ceil(size / step) * step);
  return wide <= largest ? wide : Math.ceil(size / 256) * 256;
}
