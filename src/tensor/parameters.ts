/**
 * All trained parameters in four long buffers: values, gradients and AdamW's two moments. A parameter is a view of
 * them, so that clipping and the optimizer need a handful of dispatches for any number of tensors, and a checkpoint
 * needs three reads. It knows names and shapes, but not what a parameter is for.
 */
import type { Gpu } from '../gpu/device.ts';
import { GpuValidationError } from '../gpu/errors.ts';
import type { BufferKind, BufferView } from '../gpu/pool.ts';
import { Tensor } from './tensor.ts';

/** A parameter's name, shape and initial values. */
export interface ParameterSpec {
  name: string;
  shape: readonly number[];
  values: Float32Array;
  /** Whether weight decay applies; default: true. */
  decays?: boolean;
}

/** A contiguous range of every slab with the same weight decay. */
export interface Section {
  decays: boolean;
  /** Bytes from the slab's start. */
  offset: number;
  /** Bytes. */
  size: number;
}

/** The four buffers, in the order of a checkpoint. */
export const SLABS = ['values', 'gradients', 'firstMoments', 'secondMoments'] as const;
export type Slab = (typeof SLABS)[number];

const ALIGNMENT = 256;

/** Bytes of so many values in a slab. */
const paddedBytes = (values: number) => Math.ceil((values * 4) / ALIGNMENT) * ALIGNMENT;

export class ParameterStore {
  /** Views of the values, one after the other; the other slabs have the same layout. The host keeps no copy of the numbers. */
  readonly tensors = new Map<string, Tensor>();
  /** Elements per slab, including padding. Padding is zero and stays zero. */
  readonly length: number;
  /** Number of trained weights. */
  readonly count: number;
  readonly sections: readonly Section[];
  private readonly slabs: Record<Slab, BufferView>;

  constructor(
    private readonly gpu: Gpu,
    specs: readonly ParameterSpec[],
  ) {
    let bytes = 0;
    let count = 0;
    const sections: Section[] = [];
    const placed: { spec: ParameterSpec; offset: number }[] = [];
    for (const decays of [true, false]) {
      const start = bytes;
      for (const spec of specs.filter((candidate) => (candidate.decays ?? true) === decays)) {
        placed.push({ spec, offset: bytes });
        count += spec.values.length;
        bytes += paddedBytes(spec.values.length);
      }
      if (bytes > start) sections.push({ decays, offset: start, size: bytes - start });
    }
    this.sections = sections;
    this.count = count;
    this.length = bytes / 4;
    if (bytes > gpu.limits.maxStorageBufferBindingSize) {
      throw new GpuValidationError(
        `${count} trained parameters need ${bytes} bytes in one buffer, more than this device's ` +
          `maxStorageBufferBindingSize of ${gpu.limits.maxStorageBufferBindingSize}. Train LoRA adapters instead of all weights, or lower their rank.`,
      );
    }
    const slab = (name: string, kind: BufferKind) => gpu.pool.allocate(bytes, name, { kind });
    this.slabs = {
      values: slab('parameter values', 'adapters'),
      gradients: slab('parameter gradients', 'optimizer'),
      firstMoments: slab('first moments', 'optimizer'),
      secondMoments: slab('second moments', 'optimizer'),
    };
    for (const name of SLABS) gpu.recorder.clear({ ...this.slabs[name], size: bytes });
    const initial = new Float32Array(this.length);
    for (const { spec, offset } of placed) {
      const { name, shape, values } = spec;
      initial.set(values, offset / 4);
      const tensor = new Tensor(this.part('values', offset, values.length), shape, 'f32', name);
      tensor.grad = new Tensor(this.part('gradients', offset, values.length), shape, 'f32', `d ${name}`);
      tensor.requiresGrad = true;
      tensor.isParameter = true;
      this.tensors.set(name, tensor);
    }
    gpu.recorder.write(this.slabs.values, initial);
  }

  /** A parameter by name. */
  get(name: string): Tensor {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new RangeError(`unknown parameter ${name}`);
    return tensor;
  }

  /** One of the four buffers, whole. */
  slab(name: Slab): BufferView {
    return { ...this.slabs[name], size: this.length * 4 };
  }

  /** The four buffers. */
  get views(): readonly BufferView[] {
    return SLABS.map((name) => this.slab(name));
  }

  /** Sets the gradients to zero at the start of an optimizer step. */
  zeroGradients(): void {
    this.gpu.recorder.clear(this.slab('gradients'));
  }

  /** Reads a slab back, split by parameter. */
  async read(name: Slab): Promise<Map<string, Float32Array>> {
    const all = new Float32Array(await this.gpu.read(this.slab(name)));
    return new Map(
      [...this.tensors].map(([parameter, { offset, length }]) => [
        parameter,
        all.slice(offset / 4, offset / 4 + length),
      ]),
    );
  }

  /** Fills a slab. Every parameter must be given with the right size. */
  write(name: Slab, values: ReadonlyMap<string, Float32Array>): void {
    const all = new Float32Array(this.length);
    for (const [parameter, { offset, length }] of this.tensors) {
      const given = values.get(parameter);
      if (given?.length !== length) {
        throw new RangeError(`parameter ${parameter} needs ${length} ${name}, got ${given?.length ?? 0}`);
      }
      all.set(given, offset / 4);
    }
    this.gpu.recorder.write(this.slab(name), all);
  }

  dispose(): void {
    for (const name of SLABS) this.gpu.pool.release(this.slabs[name]);
  }

  private part(name: Slab, offset: number, length: number): BufferView {
    return { buffer: this.slabs[name].buffer, offset, size: length * 4 };
  }
}
