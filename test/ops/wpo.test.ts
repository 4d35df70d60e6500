/**
 * The weights of WPO compared with their float64 reference: they change the loss and the derivative, and nothing else of a
 * record.
 */
import { expect } from 'chai';
import { weighPairs } from '../../src/ops/wpo.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, random } from '../reference/compare.ts';
import { pairWeights } from '../reference/wpo.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';

const WIDTH = 5;
const COLUMNS = { loss: 1, weight: 3 };

describe('wpo', () => {
  for (const threads of [1, 4, 64]) {
    it(`weights pairs of many lengths, ${threads} threads a pair`, async () => {
      const { gpu, check } = guards(await testGpu(), threads);
      const lengths = [1, 6, 42, 123, 431, 1, 0, 7];
      const offsets = new Uint32Array(lengths.length + 1);
      lengths.forEach((length, s) => {
        offsets[s + 1] = offsets[s] + length;
      });
      const [pairs, rows] = [lengths.length / 2, offsets[lengths.length]];
      const { normals, uniform } = random(threads);
      const logprobs = Float32Array.from({ length: rows }, () => 4 * Math.log(uniform() + 1e-3));
      const collisions = Float32Array.from({ length: rows }, () => 3 * Math.log(uniform() + 1e-3));
      const stats = Float32Array.from({ length: 3 * rows }, (_, i) =>
        i % 3 === 2 ? collisions[(i - 2) / 3] : Number.NaN,
      );
      const [records, slopes] = [pairs * WIDTH, 2 * pairs].map((n) => Float32Array.from(normals(n)));
      const upload = (data: Float32Array | Uint32Array, shape: number[]) =>
        Tensor.from(gpu, data, shape, 'given');
      const scores = { logprobs: upload(logprobs, [rows]), stats: upload(stats, [rows, 3]) };
      const given = upload(records, [pairs, WIDTH]);
      const dsums = upload(slopes, [2 * pairs]);
      weighPairs(gpu, scores, upload(offsets, [offsets.length]), {
        records: given,
        columns: COLUMNS,
        slopes: [dsums],
      });

      const weights = pairWeights(logprobs, collisions, offsets);
      // A mean of up to 431 terms near 4, and an exponential of it.
      const tolerance = { relative: 5e-6, absolute: 1e-7 };
      const expected = records.map((value, i) => {
        const weight = weights[Math.floor(i / WIDTH)];
        if (i % WIDTH === COLUMNS.weight) return weight;
        return i % WIDTH === COLUMNS.loss ? value * weight : value;
      });
      expectClose(await given.toArray(gpu), expected, tolerance);
      expectClose(
        await dsums.toArray(gpu),
        slopes.map((slope, s) => slope * weights[s >> 1]),
        tolerance,
      );
      await check();
    });
  }

  it('refuses what does not fit', async () => {
    const gpu = await testGpu();
    const [three, records] = [
      Tensor.from(gpu, new Float32Array(3), [3]),
      Tensor.from(gpu, new Float32Array(5), [1, 5]),
    ];
    const scores = { logprobs: three, stats: three };
    expect(() => weighPairs(gpu, scores, three, { records, columns: COLUMNS, slopes: [] })).to.throw(
      RangeError,
      'offsets',
    );
  });
});
