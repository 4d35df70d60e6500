/**
 * An operation may have several equivalent kernels, its variants. A device uses the one that the caller requests, or that a
 * measurement on this device selected, or the first supported one of the table. Shapes are grouped into classes, with sizes
 * rounded to powers of two. This file selects and keeps records; `tuner.ts` measures.
 */
import type { Gpu } from './device.ts';
import type { BufferView } from './pool.ts';

/** One way to compute an operation. */
export interface Variant<Shape> {
  readonly name: string;
  /** A feature that the device must have. */
  readonly feature?: GPUFeatureName;
  /** Whether it has lower precision than float32. Only used if requested by name. */
  readonly reduced?: boolean;
  serves(shape: Shape): boolean;
}

export interface Operation<Shape, V extends Variant<Shape> = Variant<Shape>> {
  readonly name: string;
  /** The first one that supports a shape is the default. */
  readonly variants: readonly V[];
  /** Shapes of one class share a variant. */
  classOf(shape: Shape): string;
  /** The operation on its own data, of the given shape or smaller. */
  trial(gpu: Gpu, shape: Shape): Trial<V>;
}

/** An operation that can be run repeatedly. */
export interface Trial<V> {
  run(variant: V): void;
  /** The result of a run: float32, the same for all variants. */
  readonly result: BufferView;
  dispose(): void;
}

/** A shape class with more than one variant, which can be measured. */
export interface OpenChoice {
  readonly key: string;
  readonly names: readonly string[];
  /** Takes a variant by its index in `names`. */
  trial(gpu: Gpu): Trial<number>;
}

/** The size of a shape class: the nearest power of two. */
export function sizeClass(size: number): number {
  return 2 ** Math.round(Math.log2(Math.max(1, size)));
}

/**
 * The same for a number of tokens, which differs between batches: few, some, or enough to fill a GPU, so that the batches
 * of a run share their variants.
 */
export function tokenClass(tokens: number): 'few' | 'some' | 'many' {
  return tokens < 32 ? 'few' : tokens < 256 ? 'some' : 'many';
}

/** The choices of one device. */
export class Variants {
  /** The variant in use, by shape class, for everything run on a counting device so far. */
  readonly inForce = new Map<string, string>();
  private readonly open = new Map<string, OpenChoice>();

  constructor(
    /** Requested names, used wherever an operation has a supported variant with that name. */
    readonly asked: readonly string[] = [],
    /** Results of measurements, by class. */
    private readonly remembered = new Map<string, string>(),
  ) {}

  /** The variant that runs `shape` on this device. */
  choose<Shape, V extends Variant<Shape>>(gpu: Gpu, operation: Operation<Shape, V>, shape: Shape): V {
    const able = operation.variants.filter(
      ({ feature, serves }) => (!feature || gpu.adapter.features.includes(feature)) && serves(shape),
    );
    const asked = this.asked.flatMap((name) => able.filter((variant) => variant.name === name))[0];
    const exact = able.filter(({ reduced }) => !reduced);
    const key = `${operation.name} ${operation.classOf(shape)}`;
    const known = this.remembered.get(key);
    const variant = asked ?? exact.find(({ name }) => name === known) ?? exact[0];
    if (gpu.counting) {
      this.inForce.set(key, variant.name);
      if (!asked && variant.name !== known && exact.length > 1 && !this.open.has(key)) {
        const names = exact.map(({ name }) => name);
        const trial = (device: Gpu): Trial<number> => {
          const { run, result, dispose } = operation.trial(device, shape);
          return { run: (at) => run(exact[at]), result, dispose };
        };
        this.open.set(key, { key, names, trial });
      }
    }
    return variant;
  }

  /** Classes used on a counting device without a known choice. */
  get openChoices(): readonly OpenChoice[] {
    return [...this.open.values()];
  }

  remember(key: string, name: string): void {
    this.remembered.set(key, name);
    this.inForce.set(key, name);
    this.open.delete(key);
  }

  /** All results of measurements. */
  get memory(): ReadonlyMap<string, string> {
    return this.remembered;
  }
}

const NOISE_BYTES = 2 ** 22;
let block: Uint32Array<ArrayBuffer> | undefined;

/**
 * A buffer with random data for a measurement: read as half precision, bfloat16 or float32, it has numbers from 2⁻¹⁵ to 2
 * of both signs, because zeros would be multiplied faster than training data.
 */
export function noise(gpu: Gpu, bytes: number, label: string): BufferView {
  const view = gpu.pool.allocate(bytes, label);
  let state = 1;
  block ??= Uint32Array.from({ length: NOISE_BYTES / 4 }, () => {
    state = Math.imul(state, 1664525) + 1013904223; // Numerical Recipes' generator, whose low bits are poor
    return ((state ^ (state >>> 16)) & 0x87ff87ff) | 0x38003800;
  });
  for (let start = 0; start < view.size; start += NOISE_BYTES) {
    const part = { ...view, offset: view.offset + start, size: view.size - start };
    gpu.recorder.write(part, block.subarray(0, Math.min(NOISE_BYTES, view.size - start) / 4));
  }
  return view;
}
