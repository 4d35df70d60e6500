/**
 * Turns kernel calls into command buffers: one compute pass for many dispatches, uniforms in an arena that is reset with
 * every submit, cached bind groups, and submits in slices short enough to avoid a watchdog timeout. Results are read back
 * later through a promise. It never waits inside a step.
 */
import { GpuValidationError } from './errors.ts';
import { type Guard, unguarded } from './guard.ts';
import { type Await, soon } from './nudge.ts';
import type { Pipeline } from './pipelines.ts';
import type { BufferView } from './pool.ts';
import type { Profiler } from './profiler.ts';

const UNIFORM_SLOT = 256;
const ARENA_BYTES = 256 * 1024;
const BIND_GROUP_LIMIT = 16384;
/** Target duration of a slice on the device, in milliseconds. */
const SLICE_MS = 100;
const MAX_IN_FLIGHT = 3;

export interface RecorderReport {
  dispatches: number;
  submits: number;
  bindGroups: number;
}

interface Readback {
  staging: GPUBuffer;
  bytes: number;
  resolve(data: ArrayBuffer): void;
  reject(error: unknown): void;
}

export class Recorder {
  readonly report: RecorderReport = { dispatches: 0, submits: 0, bindGroups: 0 };
  /** Measures kernel times, if requested. */
  profiler: Profiler | undefined;

  private readonly arena: GPUBuffer | undefined;
  private readonly uniforms: DataView<ArrayBuffer>;
  private uniformBytes = 0;
  private encoder: GPUCommandEncoder | undefined;
  private pass: GPUComputePassEncoder | undefined;
  private recorded = 0;
  private sliceLength = 64;
  private inFlight = 0;
  private lastDone = 0;
  private idle: (() => void)[] = [];
  private readbacks: Readback[] = [];
  private bindGroups = new Map<string, GPUBindGroup>();
  private readonly bufferIds = new WeakMap<GPUBuffer, number>();
  private nextBufferId = 0;
  private readonly soon: Await;

  /** Without a device, on a counting one, all calls are ignored. */
  constructor(
    private readonly device: GPUDevice | undefined,
    private readonly guard: Guard = unguarded,
  ) {
    this.uniforms = new DataView(new ArrayBuffer(device ? ARENA_BYTES : 0));
    this.soon = device ? soon(device.queue) : (answer) => answer;
    // UNIFORM | COPY_DST
    const arena = { label: 'uniform arena', size: ARENA_BYTES, usage: 0x40 | 0x08 };
    this.arena = device && guard(() => device.createBuffer(arena));
  }

  /** Records one dispatch of `groups` workgroups, spread over two dimensions. `setUniforms` fills at most 256 bytes. */
  dispatch(
    pipeline: Pipeline,
    views: readonly BufferView[],
    groups: number,
    setUniforms: (data: DataView, offset: number) => void,
  ): void {
    if (groups === 0) return;
    this.report.dispatches++;
    if (this.uniformBytes + UNIFORM_SLOT > ARENA_BYTES || this.recorded >= this.sliceLength) this.flush();
    const offset = this.uniformBytes;
    setUniforms(this.uniforms, offset);
    this.uniformBytes += UNIFORM_SLOT;
    const pass = this.openPass(pipeline.label);
    pass.setPipeline(pipeline.handle);
    pass.setBindGroup(0, this.bindGroup(pipeline, views), pipeline.readsParams ? [offset] : []);
    const columns = Math.min(groups, 65535);
    const lines = Math.ceil(groups / columns);
    // An even spread wastes fewer groups than a full first dimension.
    pass.dispatchWorkgroups(Math.ceil(groups / lines), lines);
    this.recorded++;
  }

  /** Copies bytes between buffers, in order with the dispatches. */
  copy(from: BufferView, to: BufferView, bytes = from.size): void {
    if (!this.device) return;
    this.openEncoder().copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, bytes);
  }

  /** Sets a view to zero. */
  clear(view: BufferView): void {
    if (!this.device) return;
    this.openEncoder().clearBuffer(view.buffer, view.offset, view.size);
  }

  /** Writes host data; previously recorded work runs first. */
  write(view: BufferView, data: ArrayBufferView): void {
    const { device } = this;
    if (!device) return;
    if (data.byteLength > view.size) {
      throw new GpuValidationError(`${data.byteLength} bytes written to a view of ${view.size}`);
    }
    // An empty write does nothing, and Deno's WebGPU ends the process on one.
    if (data.byteLength === 0) return;
    this.flush();
    const { buffer, byteOffset, byteLength } = data;
    this.guard(() =>
      device.queue.writeBuffer(view.buffer, view.offset, buffer as ArrayBuffer, byteOffset, byteLength),
    );
  }

  /** The bytes of a view at this point of the recording. Arrives after the next submit; does not force one. */
  read(view: BufferView): Promise<ArrayBuffer> {
    const device = this.device;
    if (!device) return Promise.resolve(new ArrayBuffer(view.size));
    const made = { label: 'readback', size: view.size, usage: 0x01 | 0x08 }; // MAP_READ | COPY_DST
    const staging = this.guard(() => device.createBuffer(made));
    this.openEncoder().copyBufferToBuffer(view.buffer, view.offset, staging, 0, view.size);
    return new Promise((resolve, reject) => {
      this.readbacks.push({ staging, bytes: view.size, resolve, reject });
    });
  }

  /** Submits the recorded work. */
  flush(): void {
    const { device, encoder } = this;
    if (!device || !encoder) return;
    this.closePass();
    this.guard(() => this.submit(device, encoder));
    this.report.submits++;
    this.watch(this.recorded);
    this.encoder = undefined;
    this.uniformBytes = 0;
    this.recorded = 0;
  }

  private submit({ queue }: GPUDevice, encoder: GPUCommandEncoder): void {
    if (this.uniformBytes > 0) {
      queue.writeBuffer(this.arena!, 0, this.uniforms.buffer, 0, this.uniformBytes);
    }
    this.profiler?.resolve(encoder);
    queue.submit([encoder.finish()]);
    this.profiler?.submitted();
    this.startReadbacks();
  }

  /** Resolves when at most two slices are in flight, so that the host does not run far ahead of the device. */
  async throttle(): Promise<void> {
    this.flush();
    while (this.inFlight >= MAX_IN_FLIGHT) await new Promise<void>((resolve) => this.idle.push(resolve));
  }

  /** Submits and resolves when the device has finished. */
  async finish(): Promise<void> {
    this.flush();
    if (this.device) await this.soon(this.device.queue.onSubmittedWorkDone());
  }

  /** Rejects reads that were not submitted with `error`. */
  dispose(error: Error): void {
    for (const { staging, reject } of this.readbacks) {
      staging.destroy();
      reject(error);
    }
    this.readbacks = [];
    this.encoder = undefined;
    this.pass = undefined;
    this.bindGroups.clear();
    this.arena?.destroy();
    this.profiler?.dispose();
  }

  /** Clears cached bind groups, which keep their buffers alive. */
  forgetBindGroups(): void {
    this.bindGroups.clear();
  }

  private openEncoder(): GPUCommandEncoder {
    this.closePass();
    this.encoder ??= this.device!.createCommandEncoder();
    return this.encoder;
  }

  private openPass(label: string): GPUComputePassEncoder {
    if (this.profiler) {
      // One pass per dispatch, because timestamps are only written at the boundaries of passes.
      const encoder = this.openEncoder();
      const timestampWrites = this.profiler.next(label);
      this.pass = encoder.beginComputePass(timestampWrites ? { label, timestampWrites } : { label });
      return this.pass;
    }
    if (!this.pass) this.pass = this.openEncoder().beginComputePass();
    return this.pass;
  }

  private closePass(): void {
    this.pass?.end();
    this.pass = undefined;
  }

  private bindGroup(pipeline: Pipeline, views: readonly BufferView[]): GPUBindGroup {
    let key = `${pipeline.id}`;
    for (const view of views) key += ` ${this.bufferId(view.buffer)}:${view.offset}:${view.size}`;
    const known = this.bindGroups.get(key);
    if (known) return known;
    if (this.bindGroups.size >= BIND_GROUP_LIMIT) this.bindGroups.clear();
    let next = 0;
    const entries = pipeline.bindings.map(({ binding, access }) => ({
      binding,
      resource: access === 'uniform' ? { buffer: this.arena!, offset: 0, size: UNIFORM_SLOT } : views[next++],
    }));
    const { label, layout } = pipeline;
    const group = this.guard(() => this.device!.createBindGroup({ label, layout, entries }));
    this.report.bindGroups++;
    this.bindGroups.set(key, group);
    return group;
  }

  private bufferId(buffer: GPUBuffer): number {
    let id = this.bufferIds.get(buffer);
    if (id === undefined) {
      id = this.nextBufferId++;
      this.bufferIds.set(buffer, id);
    }
    return id;
  }

  private startReadbacks(): void {
    for (const { staging, bytes, resolve, reject } of this.readbacks) {
      this.soon(staging.mapAsync(1, 0, bytes))
        .then(() => staging.getMappedRange(0, bytes).slice(0))
        .then(resolve, reject)
        .finally(() => staging.destroy());
    }
    this.readbacks = [];
  }

  /** Estimates from the time between finished slices how many dispatches take about {@link SLICE_MS}. */
  private watch(dispatches: number): void {
    this.inFlight++;
    const queued = performance.now();
    const done = () => {
      this.inFlight--;
      const now = performance.now();
      const busy = now - Math.max(queued, this.lastDone);
      this.lastDone = now;
      if (dispatches >= this.sliceLength / 2) {
        const wanted = (dispatches * SLICE_MS) / Math.max(busy, 1);
        this.sliceLength = Math.round(Math.min(1024, Math.max(4, (this.sliceLength + wanted) / 2)));
      }
      for (const resume of this.idle.splice(0)) resume();
    };
    this.soon(this.device!.queue.onSubmittedWorkDone()).then(done, done);
  }
}
