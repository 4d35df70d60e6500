/** The residual sum: both summands get the upstream gradient, and a tensor added to itself gets it twice. */
import { expect } from 'chai';
import { add } from '../../src/ops/add.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import * as reference from '../reference/arrays.ts';
import { random } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';
import { checkOp } from '../support/op.ts';

// One rounding.
const tolerance = { value: { relative: 1e-7 }, gradient: { relative: 0 } };

describe('add', () => {
  for (const [rows, cols] of [
    [1, 1],
    [6, 42],
    [123, 5],
    [431, 16],
  ]) {
    it(`(${rows}, ${cols})`, async () => {
      const { normals } = random(rows);
      const [a, b] = [0, 1].map(() => Float32Array.from(normals(rows * cols)));
      await checkOp(await testGpu(), {
        label: 'add',
        inputs: {
          a: { values: a, shape: [rows, cols], trained: true },
          b: { values: b, shape: [rows, cols], trained: true },
        },
        run: (tape, t) => add(tape, t.a, t.b),
        value: () => reference.add(a, b),
        gradients: (dy) => ({ a: dy, b: dy }),
        tolerance,
      });
    });
  }

  it('counts a tensor added to itself twice', async () => {
    const a = Float32Array.from(random(5).normals(42));
    await checkOp(await testGpu(), {
      label: 'a + a',
      inputs: { a: { values: a, shape: [6, 7], trained: true } },
      run: (tape, t) => add(tape, t.a, t.a),
      value: () => reference.scaled(a, 2),
      gradients: (dy) => ({ a: reference.scaled(dy, 2) }),
      tolerance,
    });
  });

  it('rejects summands of different sizes', async () => {
    const gpu = await testGpu();
    const a = Tensor.from(gpu, new Float32Array(4), [1, 4], 'a');
    const b = Tensor.from(gpu, new Float32Array(8), [2, 4], 'b');
    expect(() => add(Tape.forInference(gpu), a, b)).to.throw('a (1, 4) f32 and b (2, 4) f32 differ in size');
  });
});
