/**
 * What our own runs consist of: tensors from seeds, and two ways of starting an operation again and again, forward alone or
 * with the backward pass.
 */
import type { Gpu } from '../../../src/gpu/device.ts';
import type { BufferView } from '../../../src/gpu/pool.ts';
import { Tape } from '../../../src/tensor/tape.ts';
import { Tensor } from '../../../src/tensor/tensor.ts';
import type { Run } from '../bench.ts';
import { numbers } from '../inputs.ts';

/** Numbers of a result that are compared. */
const COMPARED = 2 ** 20;

/** A tensor of random numbers. */
export function randomTensor(gpu: Gpu, seed: number, shape: readonly number[], spread = 1): Tensor {
  const length = shape.reduce((a, b) => a * b, 1);
  return Tensor.from(gpu, numbers(seed, length, spread), shape, `random ${seed}`);
}

/** The first numbers of a view, up to `length`. */
export async function readNumbers(gpu: Gpu, view: BufferView, length = COMPARED): Promise<Float32Array> {
  const { buffer, offset, size } = view;
  const count = Math.min(length, size / 4);
  return new Float32Array(await gpu.read({ buffer, offset, size: 4 * count }), 0, count);
}

/** A run on tensors that live as long as the run. `result` is the one that the work writes. */
export function runOn(gpu: Gpu, start: () => void, held: readonly Tensor[], result?: Tensor): Run {
  return {
    start,
    async finish() {
      if (result) return (await readNumbers(gpu, result, 1))[0];
      await gpu.finish();
      return 0;
    },
    ...(result && { result: () => readNumbers(gpu, result) }),
    dispose() {
      for (const tensor of held) gpu.pool.release(tensor);
    },
  };
}

/** Forward alone; the result is what `op` returned last. */
export function forwardRun(gpu: Gpu, op: (tape: Tape) => Tensor, held: readonly Tensor[]): Run {
  let tape = Tape.forInference(gpu);
  let last: Tensor | undefined;
  const start = () => {
    tape.dispose();
    tape = Tape.forInference(gpu);
    last = op(tape);
  };
  const read = (length: number) => readNumbers(gpu, last!, length);
  return {
    start,
    finish: async () => (await read(1))[0],
    result: () => read(COMPARED),
    dispose() {
      tape.dispose();
      for (const tensor of held) gpu.pool.release(tensor);
    },
  };
}

/** Forward, and backward to `inputs` from a random gradient of what `op` returns. */
export function bothWaysRun(
  gpu: Gpu,
  op: (tape: Tape) => Tensor,
  inputs: readonly Tensor[],
  upstream: Tensor,
  held: readonly Tensor[],
): Run {
  for (const input of inputs) input.requiresGrad = true;
  const start = () => {
    const tape = Tape.forTraining(gpu);
    op(tape).grad = upstream;
    tape.backward();
    // The next start sets them anew.
    for (const input of inputs) input.grad = undefined;
  };
  return runOn(gpu, start, [...inputs, upstream, ...held]);
}
