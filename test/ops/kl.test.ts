/**
 * Both Kullback–Leibler divergences compared with their float64 references: values, gradients, masks in one of the
 * distributions, and nearly equal distributions.
 */
import { expect } from 'chai';
import { type KlDirection, kl } from '../../src/ops/kl.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import type { Matrix } from '../reference/arrays.ts';
import { expectClose, random } from '../reference/compare.ts';
import * as reference from '../reference/kl.ts';
import { testGpu } from '../support/gpu.ts';
import { KINDS, type Kind } from '../support/logits.ts';
import { checkRowOp, type RowOpTolerance, WIDTHS } from '../support/row-op.ts';

const REFERENCE = { reverse: reference.reverseKl, forward: reference.forwardKl };
const DIRECTIONS: readonly KlDirection[] = ['reverse', 'forward'];

// Every term is a product of a probability (relative 1e-5) and a difference of log-probabilities (absolute 2e-6).
const TOLERANCE: RowOpTolerance = {
  value: { absolute: 3e-6, relative: 1e-5 },
  gradient: { absolute: 3e-6, relative: 3e-5 },
};

/** Another distribution with the same masks. */
function moved(logits: Float32Array, seed: number, by: number): Float32Array {
  const { normal } = random(seed);
  return logits.map((z) => z + by * normal());
}

/** The divergence of single rows and its gradient for an upstream gradient of 1. */
async function divergence(policy: Float32Array, other: Float32Array, shape: Matrix, direction: KlDirection) {
  const gpu = await testGpu();
  const size = [shape.rows, shape.cols];
  const [p, q] = [Tensor.from(gpu, policy, size, 'policy'), Tensor.from(gpu, other, size, 'reference')];
  p.requiresGrad = true;
  const [tape, keep] = [Tape.forTraining(gpu), Tape.forInference(gpu)];
  const y = kl(tape, p, q, direction);
  y.grad = Tensor.from(gpu, new Float32Array(shape.rows).fill(1), [shape.rows]);
  const value = await y.toArray(gpu);
  const upstream = y.grad;
  tape.backward(p, keep);
  const gradient = await (p.grad as unknown as Tensor).toArray(gpu);
  keep.dispose();
  for (const tensor of [p, q, upstream]) gpu.pool.release(tensor);
  return { value, gradient };
}

describe('kl', () => {
  for (const direction of DIRECTIONS) {
    for (const kind of Object.keys(KINDS) as Kind[]) {
      for (const width of WIDTHS) {
        it(`${direction} for ${kind} logits, ${width} threads a row`, async () => {
          await checkRowOp(await testGpu(), kind, width, TOLERANCE, (logits, shape, seed) => {
            const other = moved(logits, seed, 1);
            const expected = REFERENCE[direction](logits, other, shape);
            return {
              run: (tape, policy, gpu) =>
                kl(tape, policy, Tensor.from(gpu, other, [shape.rows, shape.cols], 'reference'), direction),
              value: () => expected.kl,
              gradient: (dy) => expected.dpolicy.map((d, i) => d * dy[Math.floor(i / shape.cols)]),
            };
          });
        });
      }
    }

    it(`${direction} for unrelated distributions`, async () => {
      const shape = { rows: 42, cols: 431 };
      const [policy, other] = [KINDS.huge(1, shape), KINDS.huge(2, shape)];
      const { value, gradient } = await divergence(policy, other, shape, direction);
      const expected = REFERENCE[direction](policy, other, shape);
      expectClose(value, expected.kl, { absolute: 1e-6, relative: 1e-5, label: 'value' });
      expectClose(gradient, expected.dpolicy, { absolute: 1e-2, relative: 1e-5, label: 'gradient' });
    });

    it(`${direction} keeps a small divergence accurate`, async () => {
      // About 5e-9, a hundredth of the rounding of the log-probabilities it is made of.
      const shape = { rows: 6, cols: 431 };
      const policy = KINDS.ordinary(3, shape);
      const other = moved(policy, 4, 1e-4);
      const { value } = await divergence(policy, other, shape, direction);
      expectClose(value, REFERENCE[direction](policy, other, shape).kl, { relative: 0.02 });
    });

    it(`${direction} of equal logits is exactly 0`, async () => {
      const shape = { rows: 6, cols: 123 };
      const policy = KINDS.shifted(5, shape);
      const { value, gradient } = await divergence(policy, policy, shape, direction);
      expectClose(value, new Float32Array(6), { absolute: 0 });
      expectClose(gradient, new Float32Array(6 * 123), { absolute: 0 });
    });
  }

  it('handles a mask on one side correctly', async () => {
    const none = -Infinity;
    const shape = { rows: 4, cols: 3 };
    // Only the reference masks; only the policy masks; the reference masks all; the policy masks all.
    const policy = Float32Array.from(
      [
        [0, 1, 2],
        [0, none, 2],
        [0, 1, 2],
        [none, none, none],
      ].flat(),
    );
    const other = Float32Array.from(
      [
        [0, none, 2],
        [0, 1, 2],
        [none, none, none],
        [0, 1, 2],
      ].flat(),
    );
    const reverse = await divergence(policy, other, shape, 'reverse');
    const forward = await divergence(policy, other, shape, 'forward');
    expectClose(reverse.value, reference.reverseKl(policy, other, shape).kl, { absolute: 1e-6 });
    expectClose(forward.value, reference.forwardKl(policy, other, shape).kl, { absolute: 1e-6 });
    expect([...reverse.value]).to.satisfy((v: number[]) => v[0] === Infinity && Number.isFinite(v[1]));
    expect([...forward.value]).to.satisfy((v: number[]) => Number.isFinite(v[0]) && v[1] === Infinity);
    // A row without a value has no gradient; other rows have the reference's.
    const defined = reference.reverseKl(policy, other, shape).dpolicy.map((d, i) => (i < 3 ? 0 : d));
    expectClose(reverse.gradient, defined, { absolute: 1e-6 });
    expectClose(forward.gradient, reference.forwardKl(policy, other, shape).dpolicy, { absolute: 1e-6 });
  });

  it('refuses logits of different shapes', async () => {
    const gpu = await testGpu();
    const tape = Tape.forInference(gpu);
    const [a, b] = [tape.empty([2, 3], 'a'), tape.empty([3, 2], 'b')];
    expect(() => kl(tape, a, b)).to.throw(RangeError, 'a (2, 3) f32 and b (3, 2) f32 differ in shape');
    tape.dispose();
  });
});
