/**
 * Expectations of given values compared with their float64 reference: values, gradients, masks, and a constant that must
 * not matter.
 */
import { expect } from 'chai';
import { expectation } from '../../src/ops/expectation.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, random } from '../reference/compare.ts';
import * as reference from '../reference/theory.ts';
import { testGpu } from '../support/gpu.ts';
import { KINDS, type Kind } from '../support/logits.ts';
import { checkRowOp, type RowOpTolerance, WIDTHS } from '../support/row-op.ts';

// A sum of p v, with |v| of about 3 and probabilities that are wrong by a relative 2e-6, may cancel.
const TOLERANCE: RowOpTolerance = {
  value: { absolute: 6e-6, relative: 1e-6 },
  gradient: { absolute: 3e-6, relative: 3e-5 },
};

describe('expectation', () => {
  for (const kind of Object.keys(KINDS) as Kind[]) {
    for (const width of WIDTHS) {
      it(`under ${kind} logits, ${width} threads a row`, async () => {
        await checkRowOp(await testGpu(), kind, width, TOLERANCE, (logits, shape, seed) => {
          const values = Float32Array.from(random(seed).normals(logits.length, 3));
          return {
            run: (tape, policy, gpu) =>
              expectation(tape, policy, Tensor.from(gpu, values, [shape.rows, shape.cols], 'values')),
            value: () => reference.expectation(logits, values, shape),
            gradient: (dy) => reference.expectationBackward(dy, logits, values, shape),
          };
        });
      });
    }
  }

  /** Value and gradient of one row. */
  async function ofRow(logits: readonly number[], values: readonly number[]) {
    const gpu = await testGpu();
    const shape = [1, logits.length];
    const [z, v] = [
      Tensor.from(gpu, Float32Array.from(logits), shape),
      Tensor.from(gpu, Float32Array.from(values), shape),
    ];
    z.requiresGrad = true;
    const [tape, keep] = [Tape.forTraining(gpu), Tape.forInference(gpu)];
    const y = expectation(tape, z, v);
    y.grad = Tensor.from(gpu, new Float32Array([1]), [1]);
    const late = gpu.recorder.read(y);
    tape.backward(z, keep);
    const gradient = await (z.grad as unknown as Tensor).toArray(gpu);
    return { value: new Float32Array(await late)[0], gradient };
  }

  it('keeps its gradient with a large constant in the values', async () => {
    const { gradient } = await ofRow([0, 1, 2], [1e6, 1e6 + 0.25, 1e6 - 0.5]);
    const expected = reference.expectationBackward([1], [0, 1, 2], [0, 0.25, -0.5], { rows: 1, cols: 3 });
    expectClose(gradient, expected, { relative: 1e-5 });
  });

  it('ignores a masked entry, whatever its value, and lets an excluding value exclude', async () => {
    const masked = await ofRow([0, -Infinity, 0], [1, -Infinity, 3]);
    expect(masked.value).to.equal(2);
    expectClose(masked.gradient, [-0.5, 0, 0.5], { absolute: 1e-6 });
    const excluded = await ofRow([0, -1000, 0], [1, -Infinity, 3]);
    expect(excluded.value).to.equal(-Infinity);
    expectClose(excluded.gradient, [0, 0, 0], { absolute: 0 });
  });

  it('refuses values of another shape', async () => {
    const tape = Tape.forInference(await testGpu());
    const [a, b] = [tape.empty([2, 3], 'a'), tape.empty([3, 2], 'b')];
    expect(() => expectation(tape, a, b)).to.throw(
      RangeError,
      'a (2, 3) f32 and b (3, 2) f32 differ in shape',
    );
    tape.dispose();
  });
});
