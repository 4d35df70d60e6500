/** The soft cap of logits, in place: small and large ones, the means of rows strip by strip, and values that are not numbers. */
import { expect } from 'chai';
import { softCap } from '../../src/ops/soft-cap.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, random } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';

const CAP = 30;

describe('soft cap', () => {
  for (const [rows, cols, stride] of [
    [1, 1, 1],
    [6, 42, 44],
    [3, 431, 432],
  ] as const) {
    it(`(${rows}, ${cols}) in rows of ${stride}`, async () => {
      const { gpu, check } = guards(await testGpu());
      // From 1e-4 to 1e4: the series, the bend and the flat part.
      const { normals } = random(rows + cols);
      const values = Float32Array.from(normals(rows * stride), (x, i) => x * 10 ** ((i % 9) - 4));
      const logits = Tensor.from(gpu, values, [rows, stride], 'logits');
      const means = Tensor.from(gpu, new Float32Array(rows).fill(0.5), [rows], 'means');
      softCap(gpu, logits, cols, CAP, { means, vocabulary: 2 * cols, accumulate: 1 });
      const inside = (i: number) => i % stride < cols;
      const expected = Float64Array.from(values, (x, i) => (inside(i) ? CAP * Math.tanh(x / CAP) : x));
      expectClose(await logits.toArray(gpu), expected, { absolute: 0, relative: 1e-6 });
      const sums = Float64Array.from({ length: rows }, (_, row) =>
        expected.subarray(row * stride, row * stride + cols).reduce((sum, x) => sum + x / (2 * cols), 0.5),
      );
      expectClose(await means.toArray(gpu), sums, { absolute: 1e-5 });
      await check();
    });
  }

  it('does not change NaN and infinities, so that an overflow is visible', async () => {
    const gpu = await testGpu();
    const values = Float32Array.of(1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
    const logits = Tensor.from(gpu, values, [1, 4], 'logits');
    softCap(gpu, logits, 4, CAP);
    const [first, ...others] = await logits.toArray(gpu);
    expect(first).to.be.closeTo(CAP * Math.tanh(1 / CAP), 1e-6);
    expect(others).to.deep.equal([...values.subarray(1)]);
  });
});
