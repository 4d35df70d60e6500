/** The moving average compared with its float64 formula, over several steps, and for both limits of α. */
import { expect } from 'chai';
import { movingAverage } from '../../src/ops/moving-average.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, random } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';

async function mixed(count: number, alpha: number, steps: number) {
  const { gpu, check } = guards(await testGpu());
  const { normals } = random(count);
  let expected = Float64Array.from(Float32Array.from(normals(count)));
  const average = Tensor.from(gpu, Float32Array.from(expected), [count], 'average');
  let last = new Float32Array(0);
  for (let step = 0; step < steps; step++) {
    last = Float32Array.from(normals(count));
    movingAverage(gpu, Tensor.from(gpu, last, [count], 'values'), average, alpha);
    expected = expected.map((value, i) => alpha * last[i] + (1 - alpha) * value);
  }
  const actual = await average.toArray(gpu);
  await check();
  return { actual, expected, last };
}

describe('movingAverage', () => {
  for (const count of [1, 63, 64, 65, 431]) {
    it(`mixes ${count} values over five steps`, async () => {
      const { actual, expected } = await mixed(count, 0.6, 5);
      // Two roundings per step of values near 1.
      expectClose(actual, expected, { absolute: 1e-6 });
    });
  }

  it('equals the values if α is 1, and ignores them if it is 0', async () => {
    const { actual, last } = await mixed(123, 1, 3);
    expect(actual).to.deep.equal(last);
    const none = await mixed(123, 0, 3);
    expect(actual).not.to.deep.equal(none.actual);
    expectClose(none.actual, none.expected, { absolute: 0 });
  });

  it('rejects buffers of different sizes', async () => {
    const gpu = await testGpu();
    const [two, three] = [2, 3].map((n) => Tensor.from(gpu, new Float32Array(n), [n]));
    expect(() => movingAverage(gpu, two, three, 0.5)).to.throw(
      RangeError,
      '8 bytes of values do not match 12',
    );
  });
});
