/** Layer normalization compared with its float64 reference, also for rows far from zero. */
import { expect } from 'chai';
import { layerNorm } from '../../src/ops/layer-norm.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { random } from '../reference/compare.ts';
import * as reference from '../reference/layer-norm.ts';
import { testGpu } from '../support/gpu.ts';
import { checkOp } from '../support/op.ts';

describe('layerNorm', () => {
  for (const [rows, cols, centre] of [
    [1, 2, 0],
    [6, 42, 3],
    [42, 6, -1],
    [123, 96, 0],
    [17, 431, 20],
  ]) {
    it(`(${rows}, ${cols}), rows around ${centre}`, async () => {
      const { normals } = random(rows + cols);
      const x = Float32Array.from(normals(rows * cols), (value) => value + centre);
      const weight = Float32Array.from(normals(cols));
      const bias = Float32Array.from(normals(cols));
      const shape = { rows, cols, eps: 1e-3 };
      const forward = reference.layerNorm(x, weight, bias, shape);
      // A mean of numbers near 20 is rounded by 2e-6, and so is every difference from it; sums have up to 123 terms.
      const far = 1 + Math.abs(centre);
      await checkOp(await testGpu(), {
        label: 'layerNorm',
        inputs: {
          x: { values: x, shape: [rows, cols], trained: true },
          weight: { values: weight, shape: [cols], trained: true },
          bias: { values: bias, shape: [cols], trained: true },
        },
        run: (tape, t) => layerNorm(tape, t.x, t.weight, t.bias, 1e-3),
        value: () => forward.y,
        gradients: (dy) => {
          const { dx, dweight, dbias } = reference.layerNormBackward(dy, weight, forward, shape);
          return { x: dx, weight: dweight, bias: dbias };
        },
        tolerance: {
          value: { absolute: 2e-6 * far, relative: 2e-6 },
          gradient: { absolute: 2e-5 * far, relative: 1e-5 },
        },
      });
    });
  }

  it('refuses a weight of another width', async () => {
    const gpu = await testGpu();
    const tensor = (length: number, shape: number[], label: string) =>
      Tensor.from(gpu, new Float32Array(length), shape, label);
    const [x, weight, bias] = [tensor(12, [3, 4], 'x'), tensor(4, [4], 'w'), tensor(3, [3], 'b')];
    expect(() => layerNorm(Tape.forInference(gpu), x, weight, bias, 1e-5)).to.throw('b (3) f32');
  });
});
