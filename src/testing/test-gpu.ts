/**
 * The device of the tests: shared by many tests, watched, and recreated after a loss. Uses the WebGPU of its environment, a
 * page or Node; a page loads this file unchanged.
 */
import { DeviceLostError, NoAdapterError } from '../gpu/errors.ts';
import { type Capabilities, narrowAdapter } from './narrowed.ts';
import { type BindingData, runShader, type ShaderRun } from './run-shader.ts';
import { type Finding, type Watch, watchDevice } from './watch.ts';

/** The adapter that tests run on. */
export interface TestAdapter {
  vendor: string;
  architecture: string;
  description: string;
}

/** The `gpu` of a test. */
export interface TestGpu {
  readonly adapter: TestAdapter;
  /** Runs a compute shader once and returns its `read_write` buffers; see {@link runShader}. */
  run(run: ShaderRun): Promise<Record<string, BindingData>>;
  /**
   * Calls `work` with the device. In Playwright it runs in the page: it can only use its arguments, and `arg` and the
   * result are copied.
   */
  evaluate<Result, Arg = undefined>(
    work: (device: GPUDevice, arg: Arg) => Result | Promise<Result>,
    arg?: Arg,
  ): Promise<Result>;
}

/** Errors and leaks of a test. */
export interface Aftermath {
  findings: Finding[];
  leaks: string[];
}

/** A `gpu` in this environment. */
export class LocalGpu implements TestGpu {
  private constructor(
    private readonly source: GPU,
    private readonly capabilities: Capabilities,
    /** The device; replaced after a loss. */
    public device: GPUDevice,
    readonly adapter: TestAdapter,
    private watch: Watch,
    private isLost = false,
  ) {
    this.hear(device);
  }

  /** Requests an adapter and a device. Throws {@link NoAdapterError}. */
  static async open(source: GPU | undefined, capabilities: Capabilities = {}): Promise<LocalGpu> {
    if (!source) throw new NoAdapterError('WebGPU is not available here: navigator.gpu is missing.');
    const { device, adapter } = await LocalGpu.request(source, capabilities);
    return new LocalGpu(source, capabilities, device, adapter, watchDevice(device, true));
  }

  private static async request(source: GPU, capabilities: Capabilities) {
    const found = await source.requestAdapter({ powerPreference: 'high-performance' });
    if (!found) throw new NoAdapterError('WebGPU is available but offers no adapter.');
    const adapter = narrowAdapter(found, capabilities);
    const requiredLimits: Record<string, number> = {};
    if (!capabilities.limits)
      for (const name in adapter.limits) {
        const value = (adapter.limits as unknown as Record<string, unknown>)[name];
        if (typeof value === 'number') requiredLimits[name] = value;
      }
    const requiredFeatures = [...adapter.features] as GPUFeatureName[];
    const device = await adapter.requestDevice({ requiredFeatures, requiredLimits });
    const { vendor, architecture, description } = found.info;
    return { device, adapter: { vendor, architecture, description } };
  }

  async run(run: ShaderRun): Promise<Record<string, BindingData>> {
    return this.whileAlive(() => runShader(this.device, run));
  }

  async evaluate<Result, Arg = undefined>(
    work: (device: GPUDevice, arg: Arg) => Result | Promise<Result>,
    arg?: Arg,
  ): Promise<Result> {
    return this.whileAlive(async () => work(this.device, arg as Arg));
  }

  /** Errors and leaks since the last call. Afterwards there is a device for the next test. */
  async finish(): Promise<Aftermath> {
    await this.watch.settle();
    const aftermath = { findings: this.watch.take(), leaks: this.watch.takeLeaks() };
    if (this.isLost) await this.renew();
    return aftermath;
  }

  dispose(): void {
    this.device.destroy();
  }

  private async renew(): Promise<void> {
    const { device } = await LocalGpu.request(this.source, this.capabilities);
    this.device = device;
    this.watch = watchDevice(device, true);
    this.isLost = false;
    this.hear(device);
  }

  private hear(device: GPUDevice): void {
    device.lost.then(() => {
      if (device === this.device) this.isLost = true;
    });
  }

  /** Rejections on a lost device are reported as the loss. */
  private async whileAlive<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      await this.watch.settle();
      if (!this.isLost) throw error;
      throw new DeviceLostError('The GPU device was lost while this ran.');
    }
  }
}
