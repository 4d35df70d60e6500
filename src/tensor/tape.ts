/**
 * Records the order of gradients and owns the tensors in between. An op runs its forward kernel and records one closure;
 * `backward` replays the closures in reverse order and releases each op's outputs after its closure. It derives nothing
 * itself: every gradient is a kernel that an op calls.
 *
 * Only this file implements the accumulation law: an activation's first gradient sets, later ones add; a parameter's always adds.
 * It also implements lifetimes: buffers that no closure reads are released when their part of the model ends; the others are kept
 * until their closure, unchanged or packed.
 */
import type { Gpu } from '../gpu/device.ts';
import type { BufferKind, BufferView } from '../gpu/pool.ts';
import { Tensor } from './tensor.ts';

/** What an op records on the tape. */
export interface TapeEntry {
  inputs: readonly Tensor[];
  outputs: readonly Tensor[];
  /** The inputs and outputs whose values `backward` reads; default: all. */
  reads?: readonly Tensor[];
  /** Tensors of `reads` that are never packed, because rounding would do harm, for example before an exponential. */
  exact?: readonly Tensor[];
  /** Tensors kept for the backward pass and released with the outputs. */
  saved?: readonly Tensor[];
  /** Reads the outputs' `grad`, contributes to the inputs' gradients. */
  backward: () => void;
}

/** The destination of a gradient: into `grad`, adding to its contents if `accumulate` is 1. */
export interface GradientSlot {
  grad: Tensor;
  accumulate: 0 | 1;
}

/** A way to store values in fewer bytes until they are read (like PyTorch's saved-tensor hooks). */
export interface Packing {
  name: string;
  /** Number of 32-bit words for a tensor; undefined if it is not packed. */
  words(tensor: Tensor): number | undefined;
  pack(gpu: Gpu, tensor: Tensor, into: BufferView): void;
  unpack(gpu: Gpu, from: BufferView, tensor: Tensor): void;
}

export class Tape {
  private readonly entries: TapeEntry[] = [];
  private readonly owned = new Set<Tensor>();
  /** Tensors that closures will read. */
  private readonly awaited = new Set<Tensor>();
  /** Tensors to pack when the next layer begins. */
  private readonly due: Tensor[] = [];
  /** The packed values of tensors that have released their buffers. */
  private readonly packed = new Map<Tensor, { packing: Packing; view: BufferView }>();

  private constructor(
    readonly gpu: Gpu,
    /** Whether closures are kept. Without closures, scopes release everything that they do not return. */
    readonly recording: boolean,
  ) {}

  /** A tape for one forward and backward pass. */
  static forTraining(gpu: Gpu): Tape {
    return new Tape(gpu, true);
  }

  /** A scope without gradients. */
  static forInference(gpu: Gpu): Tape {
    return new Tape(gpu, false);
  }

  /** A new tensor with undefined contents, owned by this tape. */
  empty(shape: readonly number[], label: string, dtype: 'f32' | 'u32' = 'f32', kind?: BufferKind): Tensor {
    const length = shape.reduce((a, b) => a * b, 1);
    const tensor = new Tensor(this.gpu.pool.allocate(length * 4, label, { kind }), shape, dtype, label);
    this.owned.add(tensor);
    return tensor;
  }

  /** Records an op. Its outputs need a gradient if an input does. */
  record(entry: TapeEntry, reaches = entry.inputs.some((input) => input.requiresGrad)): void {
    if (!this.recording) return;
    for (const output of entry.outputs) output.requiresGrad = reaches;
    this.entries.push(entry);
    if (!reaches) return;
    for (const tensor of [...readsOf(entry), ...(entry.saved ?? [])]) this.awaited.add(tensor);
  }

  /** The destination for a contribution to the tensor's gradient; undefined if it needs none. */
  gradient(tensor: Tensor): GradientSlot | undefined {
    if (!tensor.requiresGrad) return undefined;
    if (tensor.grad) return { grad: tensor.grad, accumulate: 1 };
    if (tensor.isParameter) throw new Error(`${tensor}: a trained parameter has no gradient slot`);
    tensor.grad = this.empty(tensor.shape, `d ${tensor.label}`);
    return { grad: tensor.grad, accumulate: 0 };
  }

  /**
   * Gradients that one kernel computes together. If only some are needed, the others go to temporaries; if none is, `run`
   * is not called.
   */
  gradients<const T extends readonly Tensor[]>(
    tensors: T,
    run: (slots: { [K in keyof T]: GradientSlot }) => void,
  ): void {
    if (!tensors.some(({ requiresGrad }) => requiresGrad)) return;
    const unused: Tensor[] = [];
    const slots = tensors.map((tensor) => {
      const slot = this.gradient(tensor);
      if (slot) return slot;
      const grad = this.empty(tensor.shape, 'unused gradient');
      unused.push(grad);
      return { grad, accumulate: 0 };
    });
    run(slots as { [K in keyof T]: GradientSlot });
    for (const grad of unused) this.release(grad);
  }

  /**
   * Passes the gradient of a sum on to its summand, without a copy, once nothing else reads it: the last call of a closure.
   * Returns false if this is not possible, because the summand already has a gradient or this tape does not own the sum's.
   */
  handOver(sum: Tensor, summand: Tensor): boolean {
    if (!summand.requiresGrad) return true;
    if (summand.grad || !sum.grad || !this.owned.has(sum.grad)) return false;
    summand.grad = sum.grad;
    sum.grad = undefined;
    return true;
  }

  /**
   * For an op whose gradient overwrites the tensor itself; undefined if it needs none. The contribution cannot be added to an
   * existing gradient, so it must be the first, and none of the later ops may read the tensor.
   */
  gradientInPlace(tensor: Tensor): Tensor | undefined {
    if (!tensor.requiresGrad) return undefined;
    if (tensor.grad) throw new Error(`${tensor}: its gradient already has another buffer`);
    tensor.grad = tensor;
    return tensor;
  }

  /**
   * Runs all closures in reverse order, from the roots whose `grad` the caller has set, and releases everything. The gradient
   * of `input`, if it gets one, is passed to the tape `heir` instead.
   */
  backward(input?: Tensor, heir?: Tape): void {
    for (const entry of this.entries.reverse()) {
      if (entry.outputs.some((output) => output.requiresGrad && output.grad)) {
        for (const tensor of readsOf(entry)) this.unpack(tensor);
        entry.backward();
      }
      for (const output of entry.outputs) {
        if (output.grad) this.release(output.grad);
        output.grad = undefined;
        this.release(output);
      }
      for (const tensor of entry.saved ?? []) this.release(tensor);
    }
    if (input?.grad && this.owned.delete(input.grad)) heir?.owned.add(input.grad);
    this.dispose();
  }

  /** Releases a tensor of this tape early. A tensor that the tape does not own is ignored. */
  release(tensor: Tensor): void {
    if (!this.owned.delete(tensor)) return;
    this.gpu.pool.release(this.packed.get(tensor)?.view ?? tensor);
    this.packed.delete(tensor);
  }

  /**
   * Runs a part of the model, for example a layer. At its end all its allocations, and `consumed` inputs, are released, except
   * the tensors that it returns and those that closures will read.
   */
  scope<T extends Tensor | readonly Tensor[]>(run: () => T, consumed: readonly Tensor[] = []): T {
    const before = new Set(this.owned);
    const kept = run();
    const keep = new Set<Tensor>(kept instanceof Tensor ? [kept] : kept);
    for (const tensor of [...this.owned]) {
      if (keep.has(tensor) || this.awaited.has(tensor)) continue;
      if (before.has(tensor) && !consumed.includes(tensor)) continue;
      this.release(tensor);
      tensor.moveTo(undefined);
    }
    return kept;
  }

  /**
   * One of several layers in a row: the tensors that its closures will read are packed when the next layer begins, and unpacked for
   * the closures. The last layer is not packed, because the backward pass begins there. The forward pass always reads the original values,
   * so only gradients are affected.
   */
  scopePacked(packing: Packing, layer: (tape: Tape, x: Tensor) => Tensor, x: Tensor): Tensor {
    for (const tensor of this.due.splice(0)) this.pack(tensor, packing);
    const first = this.entries.length;
    const y = this.scope(() => layer(this, x), [x]);
    const entries = this.entries.slice(first);
    const exact = new Set([y, ...entries.flatMap((entry) => entry.exact ?? [])]);
    const inside = [x, ...entries.flatMap(({ outputs }) => outputs)];
    this.due.push(...inside.filter((tensor) => this.awaited.has(tensor) && !exact.has(tensor)));
    return y;
  }

  /**
   * Runs `layer` without keeping its activations; the backward pass runs it again to get them. Costs one more forward
   * pass and saves all memory of a layer except its input and output.
   */
  checkpoint(layer: (tape: Tape, x: Tensor) => Tensor, x: Tensor): Tensor {
    if (!this.recording) return this.scope(() => layer(this, x));
    const y = this.inference((tape) => layer(tape, x));
    const backward = () => {
      const inner = Tape.forTraining(this.gpu);
      const { grad } = y;
      inner.scope(() => layer(inner, x)).grad = grad;
      // The inner tape either passes it on or releases it.
      if (grad && this.owned.delete(grad)) inner.owned.add(grad);
      y.grad = undefined;
      inner.backward(x, this);
    };
    // The layer's own parameters need gradients even if its input does not.
    this.record({ inputs: [x], outputs: [y], reads: [x], backward }, true);
    return y;
  }

  /** Runs `body` on a scope without gradients and takes over the tensor it returns. */
  inference(body: (tape: Tape) => Tensor): Tensor {
    const inner = Tape.forInference(this.gpu);
    const result = body(inner);
    if (inner.owned.delete(result)) this.owned.add(result);
    inner.dispose();
    return result;
  }

  /** Releases everything that this tape still owns. */
  dispose(): void {
    for (const tensor of [...this.owned]) this.release(tensor);
    this.entries.length = 0;
  }

  /** Packs a tensor's values and releases its buffer. */
  private pack(tensor: Tensor, packing: Packing): void {
    const words = packing.words(tensor);
    if (words === undefined || !this.owned.has(tensor)) return;
    const view = this.gpu.pool.allocate(4 * words, `${tensor.label} ${packing.name}`, { spare: 1 });
    packing.pack(this.gpu, tensor, view);
    this.gpu.pool.release(tensor);
    tensor.moveTo(undefined);
    this.packed.set(tensor, { packing, view });
  }

  /** Unpacks the values, if they were packed. */
  private unpack(tensor: Tensor): void {
    const packed = this.packed.get(tensor);
    if (!packed) return;
    tensor.moveTo(this.gpu.pool.allocate(4 * tensor.length, tensor.label));
    packed.packing.unpack(this.gpu, packed.view, tensor);
    this.gpu.pool.release(packed.view);
    this.packed.delete(tensor);
  }
}

function readsOf({ inputs, outputs, reads = [...inputs, ...outputs] }: TapeEntry): readonly Tensor[] {
  return reads;
}
