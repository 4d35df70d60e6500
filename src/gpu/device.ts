/**
 * The device and what belongs to it: pipelines, the buffer pool, the recorder. One `Gpu` is one queue. It keeps the first
 * failure and throws it at the next point where a caller waits, so that no error is swallowed. On a device of the caller's own
 * it hears its own errors alone and leaves the device as it found it. Knows no machine learning.
 */
import { type AdapterReport, askedFor, type FoundDevice, ownDevice } from './adapter.ts';
import { DeviceLostError, GpuError, GpuValidationError, OutOfMemoryError, ShaderError } from './errors.ts';
import { type Guard, guarded, unguarded } from './guard.ts';
import { LOOP_LIMIT } from './loops.ts';
import { PipelineCache, type PipelineKey } from './pipelines.ts';
import { type BufferKind, BufferPool, type BufferView, type MemoryReport } from './pool.ts';
import { type AdapterProfile, profileOf } from './profile.ts';
import { Profiler } from './profiler.ts';
import { Recorder } from './recorder.ts';
import type { Tuner, Tuning } from './tuner.ts';
import { Variants } from './variants.ts';
import { Waits } from './waits.ts';

/** The longest time, in milliseconds, from an aborted map to the loss of the device that aborted it. */
const LOSS_MS = 1000;
const STORAGE = 0x80 | 0x04 | 0x08; // STORAGE | COPY_SRC | COPY_DST

export interface GpuOptions {
  /** Most bytes of GPU memory to hold; none by default. */
  memoryCap?: number | undefined;
  /** Which adapter to ask for; without effect on a device of your own. */
  powerPreference?: GPUPowerPreference;
  /** Kernel variants to run wherever an operation has one of these names, whatever was measured. */
  variants?: readonly string[] | undefined;
  /** Measure kernel variants at the start of a run and remember the fastest; without it nothing is measured. */
  tuning?: Tuning | undefined;
  /**
   * Hears a line where the CPU stands in for a GPU, a feature of the adapter does not do what it should, or a device of your own
   * was made without what kernels use.
   */
  onNotice?: ((line: string) => void) | undefined;
}

/** What a device of ours is made of beside the browser's. */
interface Parts {
  /** Whether the device is the caller's, who shares it with others and destroys it. */
  shared?: boolean;
  memoryCap?: number | undefined;
  variants?: Variants;
  tuner?: Tuner | undefined;
  /** The device that a counting one counts for. */
  original?: Gpu;
}

export class Gpu {
  readonly pipelines: PipelineCache;
  readonly pool: BufferPool;
  readonly recorder: Recorder;
  /** Which kernels run where there is a choice. */
  readonly variants: Variants;
  /** What finds out which are the fastest; undefined where nothing is to be measured. */
  readonly tuner: Tuner | undefined;
  /** How kernels fit the adapter. */
  readonly adapterProfile: AdapterProfile;
  /** A counting device allocates and runs nothing. */
  readonly counting: boolean;
  /** Resolves, never rejects, when the device is gone for a cause other than {@link dispose}. */
  readonly lost: Promise<DeviceLostError>;
  private readonly wanted: PipelineKey[] = [];
  private readonly waits: Waits;
  private readonly shared: boolean;
  private readonly guard: Guard;
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
    // A counting device listens to nothing: its listeners would live as long as the device.
    this.lost = original?.lost ?? Gpu.lossOf(device, new WeakRef(this));
    if (!this.counting && !shared) device.addEventListener('uncapturederror', this.onUncapturedError);
  }

  /** Asks for an adapter and a device. Throws {@link NoAdapterError}. */
  static async request(source: GPU, options: GpuOptions = {}): Promise<Gpu> {
    return Gpu.of(await askedFor(source, options.powerPreference, options.onNotice), options, false);
  }

  /**
   * Works on a device of the caller's own, beside whatever else uses it: buffers of the two may be mixed, {@link dispose} leaves
   * the device alive, and errors of others are neither heard nor hidden. `adapter.lacks` names what it was made without.
   */
  static async on(device: GPUDevice, options: GpuOptions = {}): Promise<Gpu> {
    return Gpu.of(await ownDevice(device, options.onNotice), options, true);
  }

  private static async of(found: FoundDevice, options: GpuOptions, shared: boolean): Promise<Gpu> {
    const tuner = options.tuning && new (await import('./tuner.ts')).Tuner(options.tuning, found.info);
    const variants = new Variants(options.variants, await tuner?.recall());
    return new Gpu(found.device, found.report, { shared, memoryCap: options.memoryCap, variants, tuner });
  }

  /** Threads of a workgroup that reduces a row. */
  get rowThreads(): number {
    return this.adapterProfile.rowThreads;
  }

  /** Most iterations that a kernel may make, over all of its loops: see `LOOP_LIMIT`. */
  get loopLimit(): number {
    return LOOP_LIMIT;
  }

  get limits(): GPUSupportedLimits {
    return this.device.limits;
  }

  /**
   * A device that only counts: the same code runs on it, its kernels' calls are checked and its buffers are numbers. Its
   * memory report says afterwards what the real run will need, and {@link wantedPipelines} which kernels to compile. What
   * is read from it is zero. It knows the memory cap, which batches of generation depend on, and counts beyond it.
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

  /** Compiles pipelines in parallel, ahead of their first use. A counting device needs none. */
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

  /** Submits and waits until the device has done, and host memory taken for it is free. */
  async finish(): Promise<void> {
    if (this.counting) return;
    await this.settle(this.recorder.finish());
  }

  /** Waits for a late readback; throws the device's failure rather than the bare rejection. */
  async settle<T>(pending: Promise<T>): Promise<T> {
    try {
      const value = await this.waits.for(pending);
      await this.guard.told();
      this.check();
      return value;
    } catch (error) {
      // A device that is lost aborts a map before it reports the loss.
      if (!this.failure && (error as Error).name === 'AbortError') await this.lossWithin(LOSS_MS);
      throw this.failure ?? error;
    }
  }

  /** Waits until the device is lost, for at most so many milliseconds. */
  private async lossWithin(milliseconds: number): Promise<void> {
    const time = new Promise((resolve) => setTimeout(resolve, milliseconds));
    await this.waits.for(time).catch(() => undefined);
  }

  /** Throws the first failure of the device, if it has had one. */
  check(): void {
    if (this.failure) throw this.failure;
  }

  memory(): MemoryReport {
    return this.pool.report();
  }

  /** Times every kernel from now on. Needs the feature `timestamp-query`. */
  profile(): Profiler {
    if (!this.device.features.has('timestamp-query')) {
      throw new GpuError('this adapter has no timestamp-query, so kernels cannot be timed');
    }
    this.recorder.flush();
    this.recorder.profiler?.dispose();
    this.recorder.profiler = this.guard(() => new Profiler(this.device));
    return this.recorder.profiler;
  }

  /** Frees the device, or on one of the caller's own all that was made on it. Waits that are pending, and later ones, reject with a {@link GpuError}. */
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

  /** Holds the `Gpu` weakly: on a device of the caller's own it ends before the device does. */
  private static async lossOf(device: GPUDevice, heard: WeakRef<Gpu>): Promise<DeviceLostError> {
    const { reason, message } = await device.lost;
    const gpu = heard.deref();
    // In Node a listener that stays keeps the device alive with its threads.
    if (gpu) device.removeEventListener('uncapturederror', gpu.onUncapturedError);
    if (gpu?.disposed) return new Promise(() => {}); // never settles: that is not a loss
    const error = new DeviceLostError(
      `The GPU device was lost (${reason || 'unknown'}: ${message}). Make a new device and resume from the last checkpoint.`,
    );
    gpu?.fail(error);
    gpu?.waits.end(error);
    return error;
  }

  private createBuffer(size: number, label: string): GPUBuffer {
    if (size > this.limits.maxBufferSize) {
      throw new GpuValidationError(
        `${label} needs a buffer of ${size} bytes, over this device's maxBufferSize of ${this.limits.maxBufferSize}. Lower the batch size or the maximum length.`,
      );
    }
    return this.guard(() => this.device.createBuffer({ size, label, usage: STORAGE }));
  }

  private fail(error: Error): void {
    // A shader that does not compile is the cause of what else is refused, and may be reported later. After the end of a device
    // Firefox and Deno compile nothing.
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
