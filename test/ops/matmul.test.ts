/** Matrix products in all layouts against a float64 sum, on both kernels and for every tile they may be given. */
import { expect } from 'chai';
import { isTiled, type Layout, planProduct, product } from '../../src/ops/matmul.ts';
import { expectClose, random } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { asDevices, requireSameBytes } from '../support/op.ts';

const LAYOUTS: readonly Layout[] = ['nt', 'nn', 'tn'];
/** (m, n, k): single elements, odd sizes for the general kernel, and tiles that end inside the matrix. */
const SIZES: readonly [number, number, number][] = [
  [1, 1, 1],
  [6, 42, 1],
  [42, 6, 123],
  [123, 431, 6],
  [1, 4, 4],
  [4, 4, 42],
  [8, 16, 8],
  [12, 20, 123],
  [20, 12, 24],
  [44, 8, 431],
  [123, 48, 96],
  [96, 96, 431],
];

function reference(layout: Layout, a: Float32Array, b: Float32Array, m: number, n: number, k: number) {
  return Float64Array.from({ length: m * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    let sum = 0;
    for (let p = 0; p < k; p++) {
      sum += a[layout === 'tn' ? p * m + i : i * k + p] * b[layout === 'nt' ? j * k + p : p * n + j];
    }
    return sum;
  });
}

describe('product', () => {
  for (const layout of LAYOUTS) {
    for (const [m, n, k] of SIZES) {
      it(`${layout} (${m}, ${n}), sum of ${k}`, async () => {
        for (const { name, gpu: device } of asDevices(await testGpu())) {
          const { gpu, check } = guards(device);
          const { normals } = random(m + 7 * n + 13 * k);
          const [a, b, before] = [m * k, k * n, m * n].map((length) => Float32Array.from(normals(length)));
          const [left, right] = [gpu.upload(a, 'a'), gpu.upload(b, 'b')];
          const run = async (scale: number, accumulate: 0 | 1) => {
            // Where nothing is to be added, what the buffer holds is not looked at: it is NaN.
            const c = accumulate ? gpu.upload(before, 'c') : gpu.pool.allocate(before.byteLength, 'c');
            product(gpu, layout, left, right, c, { m, n, k }, { scale, accumulate });
            return new Float32Array(await gpu.read(c), 0, m * n);
          };
          const sum = reference(layout, a, b, m, n, k);
          // A sum of k products of normals: its rounding errors add up like a random walk of k steps of half a unit in
          // the last place of a partial sum, which is near √k.
          const tolerance = { absolute: 5e-7 * k ** 0.75, relative: 1e-6 };
          const plain = await run(1, 0);
          expectClose(plain, sum, { ...tolerance, cols: n, label: `${name}: plain` });
          const scaled = sum.map((value, i) => -0.5 * value + before[i]);
          expectClose(await run(-0.5, 1), scaled, {
            ...tolerance,
            cols: n,
            label: `${name}: scaled and added`,
          });
          requireSameBytes(await run(1, 0), plain, name);
          await check();
        }
      });
    }
  }

  it('takes the general kernel where a dimension is no vector', () => {
    expect(isTiled('nt', { m: 3, n: 8, k: 12 })).to.equal(true);
    expect(isTiled('nt', { m: 4, n: 6, k: 12 })).to.equal(false);
    expect(isTiled('nn', { m: 4, n: 8, k: 6 })).to.equal(false);
    expect(isTiled('tn', { m: 8, n: 8, k: 3 })).to.equal(true);
    expect(isTiled('tn', { m: 6, n: 8, k: 4 })).to.equal(false);
  });

  it('cuts a long sum with few results into slices, and no other', () => {
    for (const software of [true, false]) {
      expect(planProduct(software, 'tn', { m: 8, n: 96, k: 4000 }).slices).to.be.above(4);
      expect(planProduct(software, 'nt', { m: 4000, n: 1024, k: 96 }).slices).to.equal(1);
      expect(planProduct(software, 'tn', { m: 8, n: 96, k: 4 }).slices).to.equal(1);
    }
  });

  it('gives a row the same bytes, however many others there are', async () => {
    const { normals } = random(3);
    // On a GPU the last two are cut into slices.
    for (const [n, k] of [
      [128, 128],
      [16, 512],
      [64, 256],
    ] as const) {
      for (const layout of ['nt', 'nn'] as const) {
        const [rows, b] = [150 * k, k * n].map((length) => Float32Array.from(normals(length)));
        for (const { name, gpu } of asDevices(await testGpu())) {
          const right = gpu.upload(b, 'b');
          const firstRow = async (m: number) => {
            const left = gpu.upload(rows.subarray(0, m * k), 'a');
            const c = gpu.pool.allocate(m * n * 4, 'c');
            product(gpu, layout, left, right, c, { m, n, k });
            const values = new Float32Array(await gpu.read(c), 0, n);
            for (const view of [left, c]) gpu.pool.release(view);
            return values;
          };
          const alone = await firstRow(1);
          for (const m of [2, 5, 40, 150]) {
            requireSameBytes(await firstRow(m), alone, `${name}: ${layout} (${m}, ${n}), sum of ${k}`);
          }
          gpu.pool.release(right);
        }
      }
    }
    expect(planProduct(false, 'nt', { m: 1, n: 64, k: 256 }).slices).to.equal(4);
  });

  it('gives a GPU threads before it gives them work', () => {
    const { DOWN, ACROSS } = planProduct(false, 'nt', { m: 128, n: 96, k: 96 }).constants;
    expect([DOWN, ACROSS]).to.deep.equal([1, 1]);
    const large = planProduct(false, 'nt', { m: 4096, n: 1024, k: 96 }).constants;
    expect([large.DOWN, large.ACROSS]).to.deep.equal([2, 2]);
  });
});
