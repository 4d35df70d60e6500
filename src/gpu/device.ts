/**
 * The device with its pipelines, buffer pool and recorder. One `Gpu` is one queue. It stores the first failure and throws
 * it the next time a caller waits, so that no error is lost. On a device provided by the caller it only handles its own
 * errors and does not change the device. Contains no machine learning.
 */
import { type AdapterReport, askedFor, type FoundDevice, ownDevice } from './adapter.ts';
import { DeviceLostError, GpuError, GpuValidationError, OutOfMemoryError, ShaderError } from './errors.ts';
import { type Guard, guarded, unguarded } from './guard.ts';
import { LOOP_LIMIT } from './loops.ts';
import { PipelineCache, type PipelineKey } from './pipelines.ts';
import { type BufferKind, BufferPool, type BufferView, type MemoryReport } from './pool.ts';
import { type AdapterProfile, profileOf } from './profile.ts';
import { Recorder } from './recorder.ts';
import type { Tuner, Tuning } from './tuner.ts';
import { Variants } from './variants.ts';
import { Waits } from './waits.ts';

/** Maximum milliseconds from an aborted map to the device loss that caused it. */
const LOSS_MS = 1000;
const STORAGE = 0x80 | 0x04 | 0x08; // STORAGE | COPY_SRC | COPY_DST

export interface GpuOptions {
  /** Maximum bytes of GPU memory; default: no limit. */
  memoryCap?: number | undefined;
  /** Which adapter to request; no effect on a device provided by the caller. */
  powerPreference?: GPUPowerPreference;
  /** Kernel variants to use wherever an operation has one with these names, regardless of measurements. */
  variants?: readonly string[] | undefined;
  /** Measures kernel variants at the start of a run and remembers the fastest; without it nothing is measured. */
  tuning?: Tuning | undefined;
  /**
   * Reports, one line each, that the adapter is software, that it implements a feature incorrectly, or that a device
   * provided by the caller lacks something that kernels use.
   */
  onNotice?: ((line: string) => void) | undefined;
}

/** The parts of a `Gpu` besides the browser's device. */
interface Parts {
  /** Whether the device belongs to the caller, who may share it and destroys it. */
  shared?: boolean;
  memoryCap?: number | undefined;
  variants?: Variants;
  tuner?: Tuner | undefined;
  /** The device that a counting device is a copy of. */
  original?: Gpu;
}

export class Gpu {
  readonly pipelines: PipelineCache;
  readonly pool: BufferPool;
  readonly recorder: Recorder;
  /** The choice of kernel variants. */
  readonly variants: Variants;
  /** Measures variants; undefined if nothing is to be measured. */
  readonly tuner: Tuner | undefined;
  /** How kernels are adapted to the adapter. */
  readonly adapterProfile: AdapterProfile;
  /** A counting device allocates and runs nothing. */
  readonly counting: boolean;
  /** Resolves, never rejects, when the device is lost for a reason other than {@link dispose}. */
  readonly lost: Promise<DeviceLostError>;
  private readonly wanted: PipelineKey[] = [];
  private readonly waits: Waits;
  private readonly shared: boolean;
  readonly guard: Guard;
  private failure: Error | undefined;
  private disposed = false;

  private constructor(
    readonly device: GPUDevice,
    readonly adapter: AdapterReport,
    { shared = false, memoryCap, variants = new Variants(), tuner, original }: Parts,
  ) {
    this.counting = original !== undefined;
    this.adapterProfile = original?.adapterProfile ?? profileOf(adapter);
    this.shared = shared;
    this.guard = shared ? guarded(device, (error) => this.fail(classify(error))) : unguarded;
    this.variants = original?.variants ?? variants;
    this.tuner = tuner;
    this.pipelines =
      original?.pipelines ?? new PipelineCache(device, (error) => this.fail(error), this.guard);
    this.recorder = new Recorder(this.counting ? undefined : device, this.guard);
    this.pool = new BufferPool(
      (size, label) => (this.counting ? pretendBuffer(size, label) : this.createBuffer(size, label)),
      () => {
        this.recorder.flush();
        this.recorder.forgetBindGroups();
      },
      { cap: memoryCap, isCapAdvisory: this.counting, largest: device.limits.maxBufferSize },
    );
    this.waits = original?.waits ?? new Waits();
    // A counting device adds no listeners: they would live as long as the device.
    this.lost = original?.lost ?? Gpu.lossOf(device, new WeakRef(this));
    if (!this.counting && !shared) device.addEventListener('uncapturederror', this.onUncapturedError);
  }

  /** Requests an adapter and a device. Throws {@link NoAdapterError}. */
  static async request(source: GPU, options: GpuOptions = {}): Promise<Gpu> {
    return Gpu.of(await askedFor(source, options.powerPreference, options.onNotice), options, false);
  }

  /**
   * Works on a device provided by the caller, together with other users of it: buffers can be exchanged, {@link dispose}
   * does not destroy the device, and errors of other users are neither caught nor hidden. `adapter.lacks` names its missing
   * features and limits.
   */
  static async on(device: GPUDevice, options: GpuOptions = {}): Promise<Gpu> {
    return Gpu.of(await ownDevice(device, options.onNotice), options, true);
  }

  private static async of(found: FoundDevice, options: GpuOptions, shared: boolean): Promise<Gpu> {
    const tuner = options.tuning && new (await import('./tuner.ts')).Tuner(options.tuning, found.info);
    const variants = new Variants(options.variants, await tuner?.recall());
    return new Gpu(found.device, found.report, { shared, memoryCap: options.memoryCap, variants, tuner });
  }

  /** Number of threads in a workgroup that reduces a row. */
  get rowThreads(): number {
    return this.adapterProfile.rowThreads;
  }

  /** Maximum iterations of a kernel, over all of its loops: see `LOOP_LIMIT`. */
  get loopLimit(): number {
    return LOOP_LIMIT;
  }

  get limits(): GPUSupportedLimits {
    return this.device.limits;
  }

  /**
   * A counting device: runs the same code, validates kernel calls, and represents buffers by their sizes. Afterwards, its
   * memory report gives the needs of the real run, and {@link wantedPipelines} the kernels to compile. All values read from
   * it are zero. It has the memory cap, which generation batches depend on, but may exceed it.
   */
  countingCopy(): Gpu {
    return new Gpu(this.device, this.adapter, { original: this, memoryCap: this.pool.cap });
  }

  /** On a counting device: the pipelines of all kernels called so far. */
  get wantedPipelines(): readonly PipelineKey[] {
    return this.wanted;
  }

  /** Records one dispatch; kernels call this. */
  dispatch(
    key: PipelineKey,
    views: readonly BufferView[],
    groups: number,
    setUniforms: (data: DataView, offset: number) => void,
  ): void {
    if (this.counting) this.wanted.push(key);
    else this.recorder.dispatch(this.pipelines.get(key), views, groups, setUniforms);
  }

  /** Compiles pipelines in parallel, ahead of their first use; does nothing on a counting device. */
  async compile(keys: readonly PipelineKey[]): Promise<void> {
    if (this.counting) return;
    await this.settle(this.pipelines.compile(keys));
  }

  /** A new buffer that holds the data. */
  upload(data: ArrayBufferView, label: string, kind?: BufferKind): BufferView {
    const view = this.pool.allocate(data.byteLength, label, { kind });
    this.recorder.write(view, data);
    return view;
  }

  /** Submits, waits and returns the bytes of a view. */
  async read(view: BufferView): Promise<ArrayBuffer> {
    const data = this.recorder.read(view);
    this.recorder.flush();
    return await this.settle(data);
  }

  /** Submits and waits until the device has finished and host memory of the work is free. */
  async finish(): Promise<void> {
    if (this.counting) return;
    await this.settle(this.recorder.finish());
  }

  /** Waits for a pending readback; throws the device's failure instead of the plain rejection. */
  async settle<T>(pending: Promise<T>): Promise<T> {
    try {
      const value = await this.waits.for(pending);
      await this.guard.told();
      this.check();
      return value;
    } catch (error) {
      // A lost device aborts maps before it reports the loss.
      if (!this.failure && (error as Error).name === 'AbortError') await this.lossWithin(LOSS_MS);
      throw this.failure ?? error;
    }
  }

  /** Waits until the device is lost, for at most the given time. */
  private async lossWithin(milliseconds: number): Promise<void> {
    const time = new Promise((resolve) => setTimeout(resolve, milliseconds));
    await this.waits.for(time).catch(() => undefined);
  }

  /** Throws the first failure of the device, if any. */
  check(): void {
    if (this.failure) throw this.failure;
  }

  memory(): MemoryReport {
    return this.pool.report();
  }

  /**
   * Destroys the device, or on a device provided by the caller everything created on it. Pending and later waits reject
   * with a {@link GpuError}.
   */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    const error = new GpuError(
      'The GPU device was disposed before this work had finished. Call dispose() after the last read, training run or ' +
        'generation has ended, or request a new device and repeat the work.',
    );
    this.fail(error);
    this.recorder.dispose(error);
    if (this.counting) return;
    if (this.shared) this.pool.dispose();
    else this.device.destroy();
    this.waits.end(error);
  }

  private readonly onUncapturedError = ({ error }: GPUUncapturedErrorEvent): void => {
    this.fail(classify(error));
  };

  /** Holds the `Gpu` weakly: a device provided by the caller may outlive it. */
  private static async lossOf(device: GPUDevice, heard: WeakRef<Gpu>): Promise<DeviceLostError> {
    const { reason, message } = await device.lost;
    const gpu = heard.deref();
    // In Node, a remaining listener would keep the device and its threads alive.
    if (gpu) device.removeEventListener('uncapturederror', gpu.onUncapturedError);
    if (gpu?.disposed) return new Promise(() => {}); // never settles, because it is not a loss
    const error = new DeviceLostError(
      `The GPU device was lost (${reason || 'unknown'}: ${message}). Request a new device and resume from the last checkpoint.`,
    );
    gpu?.fail(error);
    gpu?.waits.end(error);
    return error;
  }

  private createBuffer(size: number, label: string): GPUBuffer {
    if (size > this.limits.maxBufferSize) {
      throw new GpuValidationError(
        `${label} needs a buffer of ${size} bytes, more than this device's maxBufferSize of ${this.limits.maxBufferSize}. Lower the batch size or the maximum length.`,
      );
    }
    return this.guard(() => this.device.createBuffer({ size, label, usage: STORAGE }));
  }

  private fail(error: Error): void {
    // A shader that does not compile causes later validation errors, but may be reported after them. Firefox and Deno compile
    // nothing after the end of a device.
    const isCause = error instanceof ShaderError && this.failure instanceof GpuValidationError;
    if (!this.failure || isCause) this.failure = error;
  }
}

function classify(error: GPUError): Error {
  const kind = error.constructor.name;
  if (kind === 'GPUOutOfMemoryError') {
    return new OutOfMemoryError(
      `The GPU is out of memory: ${error.message}. Lower the batch size, the maximum length or the LoRA rank.`,
    );
  }
  if (kind === 'GPUValidationError') return new GpuValidationError(error.message);
  return new GpuError(`internal error of the device: ${error.message}`);
}

function pretendBuffer(size: number, label: string): GPUBuffer {
  return { size, label, destroy() {} } as unknown as GPUBuffer;
}
