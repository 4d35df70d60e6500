/**
 * Runs one op over the rows of a logits buffer and compares it with its float64 reference: values, the gradient for a
 * random upstream gradient, and accumulation into existing gradients, between guard regions and for several widths of the
 * reduction.
 */
import type { Gpu } from '../../src/gpu/device.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import type { Matrix, Reals } from '../reference/arrays.ts';
import { expectClose, random, type Tolerance } from '../reference/compare.ts';
import { guards } from './guard.ts';
import { KINDS, type Kind, SHAPES } from './logits.ts';

/** Widths of a reduction: one thread, a few, and a GPU's many. */
export const WIDTHS: readonly number[] = [1, 4, 64];
/** Beyond this size a buffer is tested with the device's own width only. */
const SMALL = 6_000;
/** Beyond this size, accumulation of the gradient is not tested. */
const MEDIUM = 60_000;

/** An op and its reference on the same logits. */
export interface RowOp {
  run(tape: Tape, logits: Tensor, gpu: Gpu): Tensor;
  value(): Reals;
  gradient(upstream: Reals): Reals;
}

export interface RowOpTolerance {
  value: Tolerance;
  gradient: Tolerance;
}

/** Checks `make(logits, shape, seed)` for every shape, of one kind of logits. */
export async function checkRowOp(
  real: Gpu,
  kind: Kind,
  width: number,
  tolerance: RowOpTolerance,
  make: (logits: Float32Array, shape: Matrix, seed: number) => RowOp,
  shapes = SHAPES,
): Promise<void> {
  for (const [index, shape] of shapes.entries()) {
    const { rows, cols } = shape;
    if (rows * cols > SMALL && width !== real.rowThreads) continue;
    const seed = 100 * index + 1;
    const values = KINDS[kind](seed, shape);
    const op = make(values, shape, seed + 1);
    const { gpu, check } = guards(real, width);
    const label = `${kind} (${rows}, ${cols})`;
    const logits = Tensor.from(gpu, values, [rows, cols], 'logits');
    logits.requiresGrad = true;

    const keep = Tape.forInference(gpu);
    const run = async (before?: Float32Array) => {
      logits.grad = before && Tensor.from(gpu, before, [rows, cols], 'gradient so far');
      const tape = Tape.forTraining(gpu);
      const y = op.run(tape, logits, gpu);
      const upstream = Float32Array.from(random(seed + 2).normals(y.length));
      y.grad = Tensor.from(gpu, upstream, y.shape, 'upstream');
      const late = gpu.recorder.read(y);
      tape.backward(logits, keep);
      const gradient = await (logits.grad as unknown as Tensor).toArray(gpu);
      const forward = new Float32Array(await late, 0, y.length);
      return { forward, gradient, upstream };
    };
    const first = await run();
    expectClose(first.forward, op.value(), { ...tolerance.value, label: `${label} value` });
    const expected = op.gradient(first.upstream);
    expectClose(first.gradient, expected, { ...tolerance.gradient, label: `${label} gradient`, cols });

    // The second run adds to the gradient of the first; both passes use the same kernels, so only rounding differs.
    if (rows * cols <= MEDIUM) {
      const before = Float32Array.from(random(seed + 3).normals(rows * cols));
      const second = await run(before);
      const sum = first.gradient.map((value, i) => value + before[i]);
      const rounding = { absolute: 1e-6, relative: 1e-6 };
      expectClose(second.gradient, sum, { ...rounding, label: `${label} accumulated gradient` });
    }
    await check();
  }
}
