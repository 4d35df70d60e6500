/** Products with weights in every format, against float64 on the values that they stand for. */
import { expect } from 'chai';
import { isTiled, type Layout, product } from '../../src/ops/matmul.ts';
import { FORMATS } from '../../src/tensor/formats.ts';
import { expectClose, random } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { asDevices, requireSameBytes } from '../support/op.ts';
import { DTYPES, randomWeights, weightsFrom } from '../support/weights.ts';

/** (tokens, outputs, blocks in a row): odd outputs for the general kernel, rows of an odd number of blocks, slices on a GPU. */
const SIZES: readonly [number, number, number][] = [
  [5, 7, 3],
  [19, 20, 3],
  [3, 8, 10],
];

function reference(layout: Layout, a: Float32Array, w: Float32Array, m: number, n: number, k: number) {
  return Float64Array.from({ length: m * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    let sum = 0;
    for (let p = 0; p < k; p++) sum += a[i * k + p] * w[layout === 'nt' ? j * k + p : p * n + j];
    return sum;
  });
}

describe('products with weights', () => {
  for (const dtype of DTYPES) {
    for (const layout of ['nt', 'nn'] as const) {
      it(`${layout} in ${dtype}`, async () => {
        const { elements } = FORMATS[dtype];
        const width = Math.max(32, elements);
        for (const { name, gpu: device } of asDevices(await testGpu())) {
          const { gpu, check } = guards(device);
          for (const [m, out, blocks] of SIZES) {
            const inputs = blocks * width;
            const [n, k] = layout === 'nt' ? [out, inputs] : [inputs, out];
            const { normals } = random(m + out + blocks);
            const { data, values } = randomWeights(dtype, out * inputs, out);
            const a = Float32Array.from(normals(m * k));
            const before = Float32Array.from(normals(m * n));
            const left = gpu.upload(a, 'a');
            const weight = weightsFrom(gpu, data, [out, inputs], dtype);
            const run = async (scale: number, accumulate: 0 | 1) => {
              const c = accumulate ? gpu.upload(before, 'c') : gpu.pool.allocate(before.byteLength, 'c');
              product(gpu, layout, left, weight, c, { m, n, k }, { scale, accumulate });
              return new Float32Array(await gpu.read(c), 0, m * n);
            };
            const sum = reference(layout, a, values, m, n, k);
            // As for products of normals; weights here are as large as 4.
            const tolerance = { absolute: 2e-6 * k ** 0.75, relative: 1e-6 };
            const label = `${name}: (${m}, ${n}), sum of ${k}`;
            const plain = await run(1, 0);
            expectClose(plain, sum, { ...tolerance, cols: n, label });
            const scaled = sum.map((value, i) => -0.5 * value + before[i]);
            expectClose(await run(-0.5, 1), scaled, { ...tolerance, cols: n, label: `${label}, added` });

            // The same numbers in f32 give the same bytes: a format changes what is read, and no sum.
            const dense = gpu.upload(values, 'dense');
            const c = gpu.pool.allocate(before.byteLength, 'c');
            product(gpu, layout, left, dense, c, { m, n, k });
            requireSameBytes(plain, new Float32Array(await gpu.read(c), 0, m * n), label);
          }
          await check();
        }
      });
    }
  }

  it('takes rows of f16 that no vector divides', async () => {
    const gpu = await testGpu();
    const [m, n, k] = [3, 5, 7];
    expect(isTiled('nt', { m, n, k })).to.equal(false);
    const { data, values } = randomWeights('f16', n * k, 4);
    const a = Float32Array.from(random(5).normals(m * k));
    const weight = weightsFrom(gpu, data, [n, k], 'f16');
    const c = gpu.pool.allocate(m * n * 4, 'c');
    product(gpu, 'nt', gpu.upload(a, 'a'), weight, c, { m, n, k });
    const sum = reference('nt', a, values, m, n, k);
    expectClose(new Float32Array(await gpu.read(c), 0, m * n), sum, { absolute: 2e-6, label: 'f16' });
  });
});
