/**
 * The order of gradients, and the owner of what lies between. An op runs its forward kernel and records one closure;
 * `backward` replays the closures in reverse and releases each op's outputs as its closure ends. It derives nothing by
 * itself: every gradient is a kernel that an op calls.
 *
 * One accumulation law, kept here alone: an activation's first gradient sets, later ones add; a parameter's always adds.
 */
import type { Gpu } from '../gpu/device.ts';
import { Tensor } from './tensor.ts';

/** What an op leaves on the tape. */
export interface TapeEntry {
  inputs: readonly Tensor[];
  outputs: readonly Tensor[];
  /** Tensors kept for the backward pass and released with the outputs. */
  saved?: readonly Tensor[];
  /** Reads the outputs' `grad`, contributes to the inputs' gradients. */
  backward: () => void;
}

/** Where to put a gradient: into `grad`, adding to what is there where `accumulate` is 1. */
export interface GradientSlot {
  grad: Tensor;
  accumulate: 0 | 1;
}

export class Tape {
  private readonly entries: TapeEntry[] = [];
  private readonly owned = new Set<Tensor>();

  private constructor(
    readonly gpu: Gpu,
    /** Whether closures are kept. Without them, scopes release what they do not return. */
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

  /** A new tensor of undefined contents, owned by this tape. */
  empty(shape: readonly number[], label: string, dtype: 'f32' | 'u32' = 'f32'): Tensor {
    const length = shape.reduce((a, b) => a * b, 1);
    const tensor = new Tensor(this.gpu.pool.allocate(length * 4, label), shape, dtype, label);
    this.owned.add(tensor);
    return tensor;
  }

  /** Records an op. Its outputs need a gradient when an input does. */
  record(entry: TapeEntry): void {
    if (!this.recording) return;
    const reaches = entry.inputs.some((input) => input.requiresGrad);
    for (const output of entry.outputs) output.requiresGrad = reaches;
    this.entries.push(entry);
  }

  /** Where a contribution to the tensor's gradient goes; undefined when it needs none. */
  gradient(tensor: Tensor): GradientSlot | undefined {
    if (!tensor.requiresGrad) return undefined;
    if (tensor.grad) return { grad: tensor.grad, accumulate: 1 };
    if (tensor.isParameter) throw new Error(`${tensor}: a trained parameter has no gradient slot`);
    tensor.grad = this.empty(tensor.shape, `d ${tensor.label}`);
    return { grad: tensor.grad, accumulate: 0 };
  }

  /**
   * Gradients that one kernel makes together. Where only some are wanted, the others go to temporaries; where none is, `run`
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
   * Makes the gradient of a sum that of its summand, without a copy, once nothing else reads it: the last act of a closure.
   * False where that cannot be, because the summand has a gradient already or this tape does not own the sum's.
   */
  handOver(sum: Tensor, summand: Tensor): boolean {
    if (!summand.requiresGrad) return true;
    if (summand.grad || !sum.grad || !this.owned.has(sum.grad)) return false;
    summand.grad = sum.grad;
    sum.grad = undefined;
    return true;
  }

  /**
   * For an op whose gradient overwrites the tensor itself; undefined when it needs none. What is overwritten can be added to
   * but not add, so this contribution must be the first, and of the ops behind it none may read the tensor.
   */
  gradientInPlace(tensor: Tensor): Tensor | undefined {
    if (!tensor.requiresGrad) return undefined;
    if (tensor.grad) throw new Error(`${tensor}: its gradient has another place already`);
    tensor.grad = tensor;
    return tensor;
  }

  /**
   * Runs all closures in reverse, from the roots whose `grad` the caller has set, and releases everything. The gradient
   * of `input`, where it gets one, goes to the tape `heir` instead.
   */
  backward(input?: Tensor, heir?: Tape): void {
    for (const entry of this.entries.reverse()) {
      if (entry.outputs.some((output) => output.requiresGrad && output.grad)) entry.backward();
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

  /** Gives a tensor of this tape back before its time. A tensor that the tape does not own is left alone. */
  release(tensor: Tensor): void {
    if (this.owned.delete(tensor)) this.gpu.pool.release(tensor);
  }

  /**
   * Runs a part of the model, a layer say. Without recording, whatever it allocated is released when it ends, except
   * what it returns; `consumed` inputs are released too.
   */
  scope<T extends Tensor | readonly Tensor[]>(run: () => T, consumed: readonly Tensor[] = []): T {
    if (this.recording) return run();
    const before = new Set(this.owned);
    const kept = run();
    const keep = new Set<Tensor>(kept instanceof Tensor ? [kept] : (kept as readonly Tensor[]));
    for (const tensor of [...this.owned]) {
      if (!keep.has(tensor) && (!before.has(tensor) || consumed.includes(tensor))) this.release(tensor);
    }
    return kept;
  }

  /**
   * Runs `layer` without keeping its activations; the backward pass runs it again to have them. Costs one more forward
   * pass, saves all of a layer's memory but its input and output.
   */
  checkpoint(layer: (tape: Tape, x: Tensor) => Tensor, x: Tensor): Tensor {
    if (!this.recording) return this.scope(() => layer(this, x));
    const y = this.inference((tape) => layer(tape, x));
    const backward = () => {
      const inner = Tape.forTraining(this.gpu);
      const { grad } = y;
      layer(inner, x).grad = grad;
      // The inner tape may hand it over, or releases it.
      if (grad && this.owned.delete(grad)) inner.owned.add(grad);
      y.grad = undefined;
      inner.backward(x, this);
    };
    this.record({ inputs: [x], outputs: [y], backward });
    // The layer's own parameters need gradients even where its input does not.
    y.requiresGrad = true;
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
}
