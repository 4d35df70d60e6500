/** Rows with weights: values pass unchanged, gradients are multiplied. */
import { expect } from 'chai';
import { weighGradient } from '../../src/ops/weigh-gradient.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { random } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';
import { checkOp } from '../support/op.ts';

describe('weighGradient', () => {
  for (const length of [1, 7, 64, 333]) {
    it(`(${length})`, async () => {
      const { normals } = random(length);
      const [x, weights] = [0, 1].map(() => Float32Array.from(normals(length))) as [
        Float32Array,
        Float32Array,
      ];
      await checkOp(await testGpu(), {
        label: 'weighGradient',
        inputs: {
          x: { values: x, shape: [length], trained: true },
          weights: { values: weights, shape: [length] },
        },
        run: (tape, t) => weighGradient(tape, t.x, t.weights),
        value: () => x,
        gradients: (dy) => ({ x: Float64Array.from(dy, (g, i) => g * weights[i]) }),
        // A value is copied; a gradient is rounded once.
        tolerance: { value: { relative: 0 }, gradient: { relative: 1e-7 } },
      });
    });
  }

  it('refuses weights of another size', async () => {
    const gpu = await testGpu();
    const x = Tensor.from(gpu, new Float32Array(4), [4], 'x');
    const weights = Tensor.from(gpu, new Float32Array(3), [3], 'weights');
    expect(() => weighGradient(Tape.forInference(gpu), x, weights)).to.throw('x (4) f32 and weights (3) f32');
  });
});
