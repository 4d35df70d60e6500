/** Sums by sequence: values, gradients, empty sequences, and the independence of a sum from neighboring ones. */
import { expect } from 'chai';
import { sequenceSums } from '../../src/ops/sequence-sum.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, random } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';

/** Offsets of sequences of these lengths. */
function offsetsOf(lengths: readonly number[]): Uint32Array {
  const offsets = new Uint32Array(lengths.length + 1);
  lengths.forEach((length, s) => {
    offsets[s + 1] = offsets[s] + length;
  });
  return offsets;
}

function sumsOf(values: ArrayLike<number>, offsets: Uint32Array): Float64Array {
  return Float64Array.from({ length: offsets.length - 1 }, (_, s) => {
    let sum = 0;
    for (let i = offsets[s]; i < offsets[s + 1]; i++) sum += values[i];
    return sum;
  });
}

describe('sequenceSums', () => {
  for (const threads of [1, 4, 64]) {
    it(`values and gradients, ${threads} threads a sequence`, async () => {
      const { gpu, check } = guards(await testGpu(), threads);
      const offsets = offsetsOf([1, 6, 0, 42, 123, 431, 1]);
      const rows = offsets.at(-1)!;
      const { normals } = random(threads);
      const [values, upstream, before] = [rows, 7, rows].map((n) => Float32Array.from(normals(n, 3)));
      const logprobs = Tensor.from(gpu, values as Float32Array, [rows], 'log-probabilities');
      logprobs.requiresGrad = true;
      for (const start of [undefined, before as Float32Array]) {
        logprobs.grad = start && Tensor.from(gpu, start, [rows], 'gradient so far');
        const [tape, keep] = [Tape.forTraining(gpu), Tape.forInference(gpu)];
        const sums = sequenceSums(tape, logprobs, Tensor.from(gpu, offsets, [8], 'offsets'));
        sums.grad = Tensor.from(gpu, upstream as Float32Array, [7], 'upstream');
        const forward = await sums.toArray(gpu);
        tape.backward(logprobs, keep);
        // Up to 431 summands near 3.
        expectClose(forward, sumsOf(values as Float32Array, offsets), { absolute: 1e-4, relative: 1e-6 });
        const expected = Float32Array.from({ length: rows }, (_, i) => {
          const sequence = offsets.findIndex((end) => end > i) - 1;
          return upstream?.[sequence] + (start?.[i] ?? 0);
        });
        const gradient = await (logprobs.grad as unknown as Tensor).toArray(gpu);
        expectClose(gradient, expected, { absolute: 1e-6 });
      }
      await check();
    });
  }

  it('gives a sequence the same bits at any position', async () => {
    const gpu = await testGpu();
    const sequence = Float32Array.from(random(4).normals(123));
    const tape = Tape.forInference(gpu);
    const sums = async (lengths: number[], values: Float32Array) => {
      const offsets = offsetsOf(lengths);
      const tensors = [
        Tensor.from(gpu, values, [values.length]),
        Tensor.from(gpu, offsets, [offsets.length]),
      ];
      const result = await sequenceSums(tape, tensors[0], tensors[1]).toArray(gpu);
      for (const tensor of tensors) gpu.pool.release(tensor);
      return result;
    };
    const alone = await sums([123], sequence);
    const packed = await sums([7, 123, 1], Float32Array.of(...random(5).normals(7), ...sequence, 1));
    tape.dispose();
    expect(packed[1]).to.equal(alone[0]);
  });

  it('propagates a masked target only to its own sequence', async () => {
    const gpu = await testGpu();
    const tape = Tape.forInference(gpu);
    const logprobs = Tensor.from(gpu, Float32Array.of(-1, -Infinity, -2, -3), [4]);
    const offsets = Tensor.from(gpu, Uint32Array.of(0, 2, 4), [3]);
    expect([...(await sequenceSums(tape, logprobs, offsets).toArray(gpu))]).to.deep.equal([-Infinity, -5]);
    for (const tensor of [logprobs, offsets]) gpu.pool.release(tensor);
    tape.dispose();
  });
});
