/**
 * Buffers that are used again and again: a released buffer waits for the next request that it fits, so that a training step
 * allocates nothing after its first run and gets the same buffers in the same order. Counts live and peak bytes, keeps to
 * the user's cap, and holds no more waiting buffers than a run was planned with. It never waits for a garbage collector.
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

/** What a buffer is for. The pool only keeps it, for whoever adds up the bytes of a run. */
export type BufferKind =
  | 'activations'
  | 'adapters'
  | 'batch'
  | 'caches'
  | 'head'
  | 'optimizer'
  | 'reference'
  | 'weights';

/** A buffer that is held: what it was made for, and its bytes. */
export interface HeldBuffer {
  readonly label: string;
  readonly size: number;
  readonly kind: BufferKind;
}

export interface Allocation {
  /** By default `activations`: what layers and loss keep for the backward pass, and their gradients. */
  kind?: BufferKind | undefined;
  /** A buffer up to so many times as large may serve. What is held for long asks for 1: a larger buffer would be missed. */
  spare?: number;
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
export interface PoolLimits {
  /** Most bytes to hold; none by default. */
  cap?: number | undefined;
  /** Whether the cap is only known here, and nothing is refused: on a device that counts what would be needed. */
  isCapAdvisory?: boolean;
  /** Bytes of the largest buffer that the device can make. */
  largest?: number;
}

export class BufferPool {
  /** Waiting buffers by size class, the oldest last: a step that asks in the same order gets the same buffers. */
  private readonly free = new Map<number, GPUBuffer[]>();
  private readonly ages = new WeakMap<GPUBuffer, number>();
  private readonly held = new Map<GPUBuffer, BufferKind>();
  private live = 0;
  private peak = 0;
  private reserved = 0;
  private created = 0;
  /** Most bytes to hold; Infinity for none. */
  readonly cap: number;
  /**
   * Bytes that a run was planned with. Beyond them waiting buffers are destroyed before one is created. Unlike the cap it refuses
   * nothing.
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
   * A view of at least `size` bytes, contents undefined. A buffer keeps the label and the kind that it was made with.
   * Throws {@link MemoryCapError}.
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

  /** Bytes of a buffer that is made for a view of `size` bytes. */
  bytesFor(size: number): number {
    return sizeClass(size, this.limits.largest ?? Number.POSITIVE_INFINITY);
  }

  /**
   * Gives a view back. Commands already recorded may still use it: the queue runs in order. Throws for a buffer that was given back
   * already: two requests would get it.
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
   * Makes buffers that wait for what will ask for them. Those of the largest step, made first, also serve smaller ones: a run
   * that grows into them keeps what it made on the way, and held a third more.
   */
  reserve(buffers: readonly HeldBuffer[]): void {
    const views = buffers.map(({ label, size, kind }) => this.allocate(size, label, { kind, spare: 1 }));
    for (const view of views) this.release(view);
  }

  /** Destroys the waiting buffers. */
  trim(): void {
    this.beforeDestroy();
    for (const [bytes, buffers] of this.free) for (const buffer of buffers) this.destroy(buffer, bytes);
    this.free.clear();
  }

  /** Destroys all buffers, those in use as well. */
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

  /** The buffers that are held, waiting ones included. */
  buffers(): HeldBuffer[] {
    return Array.from(this.held, ([{ label, size }, kind]) => ({ label, size, kind }));
  }

  /** Starts a new peak from what is held now. */
  resetPeak(): void {
    this.peak = this.reserved;
  }

  /**
   * Destroys waiting buffers until `bytes` more are within budget and cap: the largest ones first of those too small for the
   * request, so that few are destroyed and large ones are kept; then the larger ones.
   */
  private makeRoom(bytes: number): void {
    const most = Math.min(this.budget, this.enforcedCap) - bytes;
    if (this.reserved <= most) return;
    const waiting = [...this.free].filter(([, buffers]) => buffers.length > 0);
    if (waiting.length === 0) return;
    this.beforeDestroy();
    const rank = ([size]: [number, unknown]) => (size <= bytes ? bytes - size : size);
    for (const [size, buffers] of waiting.sort((a, b) => rank(a) - rank(b))) {
      while (this.reserved > most && buffers.length > 0) this.destroy(buffers.shift() as GPUBuffer, size);
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
 * Rounds up to 256 bytes, and above 4 KiB to a sixteenth of the size's power of two: coarse enough that batches of
 * about the same length share their buffers, at the price of three hundredths of the bytes on average. What would be too large for the
 * device then is rounded up to 256 bytes alone.
 */
function sizeClass(size: number, largest: number): number {
  const step = size <= 4096 ? 256 : 2 ** Math.floor(Math.log2(size)) / 16;
  const wide = Math.max(256, Math.ceil(size / step) * step);
  return wide <= largest ? wide : Math.ceil(size / 256) * 256;
}
