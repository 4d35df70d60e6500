/**
 * An operation may have several kernels of one meaning, its variants. Which one a device runs is said by the caller, or
 * remembered from a measurement on that device, or else the first of the table that can. Shapes are told apart by class,
 * sizes rounded to powers of two. This file chooses and keeps account; it measures nothing (`tuner.ts`).
 */
import type { Gpu } from './device.ts';
import type { BufferView } from './pool.ts';

/** One way to compute an operation. */
export interface Variant<Shape> {
  readonly name: string;
  /** What the device must offer. */
  readonly feature?: GPUFeatureName;
  /** Rounds more coarsely than float32. Runs only where somebody asks for it by name. */
  readonly reduced?: boolean;
  serves(shape: Shape): boolean;
}

export interface Operation<Shape, V extends Variant<Shape> = Variant<Shape>> {
  readonly name: string;
  /** The first one that serves a shape is what runs where nothing is known. */
  readonly variants: readonly V[];
  /** Shapes of one class share a variant. */
  classOf(shape: Shape): string;
  /** The operation on data of its own, as large as the shape or somewhat smaller. */
  trial(gpu: Gpu, shape: Shape): Trial<V>;
}

/** An operation ready to be run again and again. */
export interface Trial<V> {
  run(variant: V): void;
  /** What a run leaves behind: float32, the same whatever the variant. */
  readonly result: BufferView;
  dispose(): void;
}

/** A class of shapes of which there is more than one variant, with what can be tried. */
export interface OpenChoice {
  readonly key: string;
  readonly names: readonly string[];
  /** Takes a variant by its place in `names`. */
  trial(gpu: Gpu): Trial<number>;
}

/** A size as classes of shapes have it: the nearest power of two. */
export function sizeClass(size: number): number {
  return 2 ** Math.round(Math.log2(Math.max(1, size)));
}

/**
 * The same for a number of tokens, which differs from batch to batch: few, some, or enough to fill a GPU, so that the
 * batches of a run share their variants.
 */
export function tokenClass(tokens: number): 'few' | 'some' | 'many' {
  return tokens < 32 ? 'few' : tokens < 256 ? 'some' : 'many';
}

/** The choices of one device. */
export class Variants {
  /** What runs, by class of shapes, for all that was met on a counting device so far. */
  readonly inForce = new Map<string, string>();
  private readonly open = new Map<string, OpenChoice>();

  constructor(
    /** Names that are taken wherever an operation has one that serves. */
    readonly asked: readonly string[] = [],
    /** What measurements have shown, by class. */
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
    const variant = asked ?? exact.find(({ name }) => name === known) ?? (exact[0] as V);
    if (gpu.counting) {
      this.inForce.set(key, variant.name);
      if (!asked && variant.name !== known && exact.length > 1 && !this.open.has(key)) {
        const names = exact.map(({ name }) => name);
        const trial = (device: Gpu): Trial<number> => {
          const { run, result, dispose } = operation.trial(device, shape);
          return { run: (at) => run(exact[at] as V), result, dispose };
        };
        this.open.set(key, { key, names, trial });
      }
    }
    return variant;
  }

  /** Classes met on a counting device that nothing is known of. */
  get openChoices(): readonly OpenChoice[] {
    return [...this.open.values()];
  }

  remember(key: string, name: string): void {
    this.remembered.set(key, name);
    this.inForce.set(key, name);
    this.open.delete(key);
  }

  /** All that measurements have shown. */
  get memory(): ReadonlyMap<string, string> {
    return this.remembered;
  }
}

const NOISE_BYTES = 2 ** 22;
let block: Uint32Array<ArrayBuffer> | undefined;

/**
 * A buffer of so many bytes for a trial: read as halves or as floats of either kind, numbers from 2⁻¹⁵ to 2 of both signs,
 * because zeros would be multiplied faster than what training meets.
 */
export function noise(gpu: Gpu, bytes: number, label: string): BufferView {
  const view = gpu.pool.allocate(bytes, label);
  let state = 1;
  block ??= Uint32Array.from({ length: NOISE_BYTES / 4 }, () => {
    state = Math.imul(state, 1664525) + 1013904223; // Numerical Recipes' generator, whose lower bits are poor
    return ((state ^ (state >>> 16)) & 0x87ff87ff) | 0x38003800;
  });
  for (let start = 0; start < view.size; start += NOISE_BYTES) {
    const part = { ...view, offset: view.offset + start, size: view.size - start };
    gpu.recorder.write(part, block.subarray(0, Math.min(NOISE_BYTES, view.size - start) / 4));
  }
  return view;
}
