/**
 * Products of few rows and their epilogues, compared with float64: fewer and more rows than a thread computes, every format
 * of weights, norms, biases, and heads that are rotated and written to a cache.
 */
import { expect } from 'chai';
import { ropeTable } from '../../src/ops/rope.ts';
import {
  type RowWeights,
  rowActivation,
  rowHeads,
  rowProduct,
  rowProductOnto,
} from '../../src/ops/row-product.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { sigmoid } from '../reference/arrays.ts';
import { expectClose, random } from '../reference/compare.ts';
import { gelu } from '../reference/gated-unit.ts';
import { rmsNorm } from '../reference/rms-norm.ts';
import { rope, ropeFrequencies } from '../reference/rope.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { placesOf } from '../support/places.ts';
import { DTYPES, randomWeights, weightsFrom } from '../support/weights.ts';

const EPS = 1e-5;
/** Random rows, larger than those that a norm returns, so that a missing norm is noticed. */
const SPREAD = 3;

interface Shape {
  rows: number;
  n: number;
  k: number;
  normed?: boolean;
  biased?: boolean;
  scale?: number;
}

/** scale · (norm(x) Wᵀ + bias), (rows, n). */
function exact(x: ArrayLike<number>, w: ArrayLike<number>, { rows, n, k, normed, biased, scale = 1 }: Shape) {
  const ones = new Float64Array(k).fill(1);
  const from = normed ? rmsNorm(x as Float32Array, ones, { rows, cols: k, eps: EPS }).y : x;
  return Float64Array.from({ length: rows * n }, (_, at) => {
    const [row, column] = [Math.floor(at / n), at % n];
    let sum = biased ? w[n * k + column] : 0;
    for (let i = 0; i < k; i++) sum += from[row * k + i] * w[column * k + i];
    return scale * sum;
  });
}

async function prepare({ rows, n, k, normed, biased }: Shape) {
  const { gpu, check } = guards(await testGpu());
  const { normals } = random(rows + n + k);
  const x = Float32Array.from(normals(rows * k, SPREAD));
  const w = Float32Array.from(normals(n * (k + (biased ? 1 : 0))));
  const weights: RowWeights = { weights: Tensor.from(gpu, w, [w.length]), n, k, ...(biased && { biased }) };
  const input = Tensor.from(gpu, x, [rows, k]);
  const options = normed ? { normEps: EPS } : {};
  return { gpu, check, x, w, weights, input, options, normals };
}

/** Sums of k products of numbers around 1 and {@link SPREAD}. */
const close = (k: number, label: string) => ({ absolute: 2e-6 * SPREAD * k, relative: 2e-6, label });

const SHAPES: readonly Shape[] = [
  { rows: 1, n: 4, k: 4 },
  { rows: 1, n: 12, k: 20, normed: true },
  { rows: 2, n: 8, k: 16, biased: true },
  { rows: 3, n: 20, k: 8, normed: true, biased: true, scale: 0.25 },
  { rows: 8, n: 44, k: 12, scale: 3 },
  { rows: 9, n: 36, k: 64, normed: true },
  { rows: 21, n: 64, k: 28, normed: true, biased: true },
];

describe('row-product', () => {
  for (const shape of SHAPES) {
    const { rows, n, k, normed, biased, scale } = shape;
    const name = `(${rows}, ${n}, ${k})${normed ? ', normed' : ''}${biased ? ', biased' : ''}`;

    it(`${name}: plain, onto a residual`, async () => {
      const { gpu, check, x, w, weights, input, options, normals } = await prepare(shape);
      const y = Tensor.from(gpu, new Float32Array(rows * n), [rows, n]);
      rowProduct(gpu, input, weights, y, { ...options, scale });
      const residual = Float32Array.from(normals(rows * n));
      const tape = Tape.forInference(gpu);
      const sum = rowProductOnto(tape, input, weights, Tensor.from(gpu, residual, [rows, n]), {
        ...options,
        scale,
      });
      const [found, foundSum] = [await y.toArray(gpu), await sum.toArray(gpu)];
      await check();
      const expected = exact(x, w, shape);
      expectClose(found, expected, close(k, 'plain'));
      expectClose(
        foundSum,
        expected.map((value, i) => value + residual[i]),
        close(k, 'residual'),
      );
    });

    it(`${name}: activations`, async () => {
      const { gpu, check, x, w, weights, input, options } = await prepare({ ...shape, n: 2 * n });
      const tape = Tape.forInference(gpu);
      const small = { ...options, scale: 0.1 };
      const [gated, alone] = [
        await rowActivation(tape, input, weights, 'silu', true, small).toArray(gpu),
        await rowActivation(tape, input, weights, 'gelu', false, small).toArray(gpu),
      ];
      await check();
      const sums = exact(x, w, { ...shape, n: 2 * n, scale: 0.1 });
      const expected = Float64Array.from({ length: rows * n }, (_, at) => {
        const [row, column] = [Math.floor(at / n), at % n];
        const [gate, up] = [sums[row * 2 * n + column], sums[row * 2 * n + n + column]] as [number, number];
        return gate * sigmoid(gate) * up;
      });
      // A product of two sums, each of which may be about 30.
      expectClose(gated, expected, { absolute: 1e-4, relative: 1e-5, label: 'gated' });
      expectClose(
        alone,
        sums.map((value) => gelu(value).value),
        { absolute: 1e-5, relative: 1e-5, label: 'gelu' },
      );
    });
  }

  for (const dtype of DTYPES) {
    it(`weights in ${dtype}, an odd number of them`, async () => {
      const { gpu, check } = guards(await testGpu());
      const [rows, n, k] = [5, 7, 256];
      const { data, values } = randomWeights(dtype, n * k, 5);
      const x = Float32Array.from(random(2).normals(rows * k));
      const y = Tensor.from(gpu, new Float32Array(rows * 8), [rows, 8]);
      const weights = weightsFrom(gpu, data, [n, k], dtype);
      rowProduct(gpu, Tensor.from(gpu, x, [rows, k]), { weights, n, k }, y);
      const found = (await y.toArray(gpu)).filter((_, i) => i % 8 < n);
      await check();
      expectClose(found, exact(x, values, { rows, n, k }), { absolute: 2e-4, relative: 1e-5 });
    });
  }

  for (const [heads, kvHeads, headDim, pairs, cached] of [
    [1, 1, 8, 4, 0],
    [4, 2, 32, 16, 3],
    [6, 3, 24, 8, 5],
    [2, 1, 16, 0, 2],
  ] as const) {
    it(`${heads} heads of ${headDim}, ${kvHeads} of keys, ${pairs} pairs that turn: queries, and rows of the cache`, async () => {
      const [rows, k] = [5, 20];
      const n = (heads + 2 * kvHeads) * headDim;
      const { gpu, check, x, w, weights, input, options } = await prepare({
        rows,
        n,
        k,
        biased: true,
        normed: true,
      });
      const width = kvHeads * headDim;
      // Prompts of other lengths, and the sequences' own rows in another order than the sequences.
      const prompts = [2, 9, 4, 1, 7];
      const own = prompts.map((_, i) => 24 + ((3 * i) % 5) * 7);
      const places = prompts.map((length, i) => ({
        prompt: 3,
        promptEnd: 3 + length,
        own: own[i],
      }));
      const cacheRows = 24 + 5 * 7;
      const untouched = Float32Array.from(random(1).normals(cacheRows * width));
      const cache = {
        keys: Tensor.from(gpu, untouched, [cacheRows, width]),
        values: Tensor.from(gpu, untouched, [cacheRows, width]),
      };
      const frequencies = ropeFrequencies(2 * Math.max(1, pairs), 100);
      const table = ropeTable(16, frequencies);
      const turns = pairs > 0 ? Tensor.from(gpu, table, [16, pairs, 2]) : undefined;
      const tape = Tape.forInference(gpu);
      const shape = { heads, kvHeads, headDim };
      const at = { cache, places: placesOf(gpu, places), step: 1 + cached, turns };
      const query = await rowHeads(tape, input, weights, shape, at, options).toArray(gpu);
      const [keys, values] = [await cache.keys.toArray(gpu), await cache.values.toArray(gpu)];
      await check();

      const all = exact(x, w, { rows, n, k, biased: true, normed: true });
      const positions = prompts.map((length) => length + cached);
      const columns = (first: number, count: number) =>
        Float64Array.from(
          { length: rows * count },
          (_, i) => all[Math.floor(i / count) * n + first + (i % count)],
        );
      const turned = (part: Float64Array, count: number) =>
        pairs > 0 ? rope(part, positions, { rows, heads: count, headDim, frequencies }) : part;
      expectClose(query, turned(columns(0, heads * headDim), heads), close(k, 'queries'));
      const into = (part: Float64Array) => {
        const expected = Float64Array.from(untouched);
        for (const [row, start] of own.entries())
          expected.set(part.subarray(row * width, (row + 1) * width), (start + cached) * width);
        return expected;
      };
      expectClose(keys, into(turned(columns(heads * headDim, width), kvHeads)), close(k, 'keys'));
      expectClose(values, into(columns(heads * headDim + width, width)), close(k, 'values'));
    });
  }

  it('rounds a row equally whatever the other rows', async () => {
    const gpu = await testGpu();
    const [n, k] = [24, 36];
    const { normals } = random(8);
    const x = Float32Array.from(normals(16 * k));
    const weights = { weights: Tensor.from(gpu, Float32Array.from(normals(n * k)), [n, k]), n, k };
    const results: Float32Array[] = [];
    for (const rows of [1, 2, 4, 16]) {
      const y = Tensor.from(gpu, new Float32Array(rows * n), [rows, n]);
      rowProduct(gpu, Tensor.from(gpu, x.subarray(0, rows * k), [rows, k]), weights, y, { normEps: EPS });
      results.push((await y.toArray(gpu)).subarray(0, n));
    }
    for (const result of results) expect(result).to.deep.equal(results[0]);
  });
});
