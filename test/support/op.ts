/**
 * Runs one op and compares it with its float64 reference: the value, a gradient for every input that needs one,
 * accumulation into existing gradients, and the same bytes in a second run. All of it between guard regions, and for both
 * kinds of device: what is compiled for a GPU and for a software adapter must agree with the same reference.
 */
import type { Gpu } from '../../src/gpu/device.ts';
import { type AdapterKind, PROFILES } from '../../src/gpu/profile.ts';
import { Variants } from '../../src/gpu/variants.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import type { Reals } from '../reference/arrays.ts';
import { expectClose, random, type Tolerance } from '../reference/compare.ts';
import { guards } from './guard.ts';

export interface OpInput {
  values: Float32Array | Uint32Array;
  shape: readonly number[];
  /** Whether it gets a gradient. */
  trained?: boolean;
}

/** An op, its inputs and its reference. */
export interface OpCase<Name extends string> {
  label: string;
  inputs: Record<Name, OpInput>;
  run(tape: Tape, inputs: Record<Name, Tensor>): Tensor;
  value(): Reals;
  gradients(upstream: Reals): Partial<Record<Name, Reals>>;
  tolerance: { value: Tolerance; gradient: Tolerance };
}

/** The device, told to behave as a software adapter or as a GPU, whatever it really is. */
export function asDevices(real: Gpu): { name: string; gpu: Gpu }[] {
  const as = (kind: AdapterKind): Gpu => Object.create(real, { adapterProfile: { value: PROFILES[kind] } });
  return [
    { name: 'as software', gpu: as('software') },
    { name: 'as a GPU', gpu: as('hardware') },
  ];
}

/** The device with these kernel variants requested. */
export function asking(real: Gpu, ...names: string[]): Gpu {
  return Object.create(real, { variants: { value: new Variants(names) } });
}

interface Outcome {
  value: Float32Array;
  gradients: Map<string, Float32Array>;
}

/** Checks the op on both kinds of device, or on the given ones. */
export async function checkOp<Name extends string>(
  real: Gpu,
  op: OpCase<Name>,
  devices = asDevices(real),
): Promise<void> {
  for (const { name, gpu } of devices) {
    const label = `${op.label}, ${name}`;
    const { gpu: guarded, check } = guards(gpu);
    const length = op.value().length;
    const upstream = Float32Array.from(random(length).normals(length));
    const first = await runOnce(guarded, op, upstream);
    expectClose(first.value, op.value(), { ...op.tolerance.value, label: `${label}: value` });
    const expected = op.gradients(upstream);
    for (const [input, gradient] of first.gradients) {
      const truth = expected[input as Name];
      if (!truth) throw new Error(`${label}: no gradient was expected for ${input}`);
      expectClose(gradient, truth, { ...op.tolerance.gradient, label: `${label}: gradient of ${input}` });
    }
    if (first.gradients.size !== Object.keys(expected).length) {
      throw new Error(`${label}: gradients for ${[...first.gradients.keys()].join(', ')} only`);
    }

    // If a gradient exists already, the kernels add to it, and otherwise do the same; that is one more rounding.
    const before = new Map(
      [...first.gradients].map(([input, { length }], i) => [input, random(i + 7).normals(length)]),
    );
    const second = await runOnce(guarded, op, upstream, before);
    requireSameBytes(second.value, first.value, `${label}: value of a second run`);
    for (const [input, gradient] of second.gradients) {
      const sum = first.gradients.get(input)!.map((g, i) => g + before.get(input)![i]);
      expectClose(gradient, sum, { ...ONE_ROUNDING, label: `${label}: accumulated gradient of ${input}` });
    }

    const third = await runOnce(guarded, op, upstream);
    for (const [input, gradient] of third.gradients) {
      requireSameBytes(gradient, first.gradients.get(input)!, `${label}: gradient of ${input}`);
    }
    await check();
  }
}

/** Sums of many terms are computed before they are added; their parts may be rounded in another order. */
const ONE_ROUNDING: Tolerance = { absolute: 2e-6, relative: 2e-6 };

async function runOnce<Name extends string>(
  gpu: Gpu,
  op: OpCase<Name>,
  upstream: Float32Array,
  before?: ReadonlyMap<string, Float64Array>,
): Promise<Outcome> {
  const tape = Tape.forTraining(gpu);
  const entries = Object.entries<OpInput>(op.inputs);
  const tensors = new Map(
    entries.map(([name, { values, shape, trained }]) => {
      const tensor = Tensor.from(gpu, values, shape, name);
      tensor.requiresGrad = trained ?? false;
      const soFar = before?.get(name);
      if (soFar) tensor.grad = Tensor.from(gpu, Float32Array.from(soFar), shape, `d ${name}`);
      return [name, tensor];
    }),
  );
  const y = op.run(tape, Object.fromEntries(tensors) as Record<Name, Tensor>);
  y.grad = Tensor.from(gpu, upstream, y.shape, 'upstream');
  const value = await y.toArray(gpu);
  tape.backward();
  const gradients = new Map<string, Float32Array>();
  for (const [name, { trained }] of entries) {
    // A guarded pool reuses no buffers, so the gradient still exists.
    if (trained) gradients.set(name, await tensors.get(name)!.grad!.toArray(gpu));
  }
  return { value, gradients };
}

/** Throws unless two arrays have the same bits. */
export function requireSameBytes(actual: Float32Array, expected: Float32Array, label: string): void {
  const [a, b] = [actual, expected].map(
    ({ buffer, byteOffset, length }) => new Uint32Array(buffer, byteOffset, length),
  );
  const at = a.findIndex((word, i) => word !== b[i]);
  if (a.length !== b.length || at >= 0)
    throw new Error(`${label} differs at ${at}: ${actual[at]} and ${expected[at]}`);
}
