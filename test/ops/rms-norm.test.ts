/** Root-mean-square normalization compared with its float64 reference. */
import { expect } from 'chai';
import { rmsNorm } from '../../src/ops/rms-norm.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { random } from '../reference/compare.ts';
import * as reference from '../reference/rms-norm.ts';
import { testGpu } from '../support/gpu.ts';
import { checkOp } from '../support/op.ts';

const SHAPES: readonly [number, number][] = [
  [1, 1],
  [6, 42],
  [42, 6],
  [123, 96],
  [17, 431],
];

describe('rmsNorm', () => {
  for (const [rows, cols] of SHAPES) {
    for (const scale of [1, 1e-3, 300]) {
      it(`(${rows}, ${cols}), numbers near ${scale}`, async () => {
        const { normals } = random(rows + cols);
        const x = Float32Array.from(normals(rows * cols, scale));
        const weight = Float32Array.from(normals(cols));
        const shape = { rows, cols, eps: 1e-5 };
        const { y, rstd } = reference.rmsNorm(x, weight, shape);
        await checkOp(await testGpu(), {
          label: 'rmsNorm',
          inputs: {
            x: { values: x, shape: [rows, cols], trained: true },
            weight: { values: weight, shape: [cols], trained: true },
          },
          run: (tape, t) => rmsNorm(tape, t.x, t.weight, { eps: 1e-5 }),
          value: () => y,
          gradients: (dy) => {
            const { dx, dweight } = reference.rmsNormBackward(dy, x, weight, rstd, shape);
            return { x: dx, weight: dweight };
          },
          // inverseSqrt may be wrong by two units in the last place. A gradient is the small difference of terms of
          // size 1/scale, and that of the weight sums up to 123 terms.
          tolerance: {
            value: { absolute: 1e-6, relative: 2e-6 },
            gradient: { absolute: 5e-6 * Math.max(1, 10 / (scale + 0.1)), relative: 1e-5 },
          },
        });
      });
    }
  }

  for (const [rows, heads, cols] of [
    [6, 1, 42],
    [17, 3, 8],
  ]) {
    it(`(${rows}, ${heads} heads of ${cols}), the weight from one`, async () => {
      const { normals } = random(rows);
      const x = Float32Array.from(normals(rows * heads * cols));
      const weight = Float32Array.from(normals(cols, 0.3));
      const gain = weight.map((value) => 1 + value);
      const shape = { rows: rows * heads, cols, eps: 1e-6 };
      const { y, rstd } = reference.rmsNorm(x, gain, shape);
      await checkOp(await testGpu(), {
        label: 'rmsNorm of heads',
        inputs: {
          x: { values: x, shape: [rows, heads * cols], trained: true },
          weight: { values: weight, shape: [cols], trained: true },
        },
        run: (tape, t) => rmsNorm(tape, t.x, t.weight, { eps: 1e-6, offset: true }),
        value: () => y,
        gradients: (dy) => {
          const { dx, dweight } = reference.rmsNormBackward(dy, x, gain, rstd, shape);
          return { x: dx, weight: dweight };
        },
        // As above; 1 + weight is rounded once more.
        tolerance: {
          value: { absolute: 1e-6, relative: 2e-6 },
          gradient: { absolute: 2e-5, relative: 1e-5 },
        },
      });
    });
  }

  it('keeps rows of zeros finite', async () => {
    const gpu = await testGpu();
    const tape = Tape.forInference(gpu);
    const x = Tensor.from(gpu, new Float32Array(12), [3, 4]);
    const weight = Tensor.from(gpu, new Float32Array(4).fill(1), [4]);
    expect([...(await rmsNorm(tape, x, weight, { eps: 1e-5 }).toArray(gpu))]).to.deep.equal(
      Array(12).fill(0),
    );
    tape.dispose();
  });

  it('refuses a weight of another width', async () => {
    const gpu = await testGpu();
    const x = Tensor.from(gpu, new Float32Array(12), [3, 4], 'x');
    const weight = Tensor.from(gpu, new Float32Array(3), [3], 'norm');
    expect(() => rmsNorm(Tape.forInference(gpu), x, weight, { eps: 1e-5 })).to.throw('norm (3) f32');
  });
});
