/** Matrix products in all layouts compared with a float64 sum, on both kernels and for every tile that they may have. */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import type { BufferView } from '../../src/gpu/pool.ts';
import { PRODUCT, PRODUCT_VARIANTS, planProduct } from '../../src/ops/matmul.ts';
import { product } from '../../src/ops/product.ts';
import { isTiled, type Layout, type ProductSize } from '../../src/ops/product-size.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, random, type Tolerance } from '../reference/compare.ts';
import { OF_MAGNITUDES } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { asDevices, asking, requireSameBytes } from '../support/op.ts';

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
  [132, 144, 72],
];

/** The sizes for which all epilogues of a kernel are tested: each is a separate kernel to compile. */
const WITH_ENDS = new Set(['6 42 1', '20 12 24', '123 48 96']);

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

/** Fields that a plan does not depend on. */
const plain = { format: 'f32' } as const;

/** For every size, a product by each of the kernels that support it. */
async function check(layout: Layout, m: number, n: number, k: number): Promise<void> {
  const real = await testGpu();
  const { normals } = random(m + 7 * n + 13 * k);
  const [a, b, before] = [m * k, k * n, m * n].map((length) => Float32Array.from(normals(length)));
  const sum = reference(layout, a, b, m, n, k);
  const magnitude = reference(layout, a.map(Math.abs), b.map(Math.abs), m, n, k);
  for (const { name, gpu: device } of asDevices(real)) {
    const { matrixUnit } = device.adapter;
    const adapter = device.adapterProfile.kind;
    const shape = { layout, m, n, k, format: 'f32', adapter, matrixUnit } as const;
    const names = PRODUCT_VARIANTS.map((variant) => variant.name);
    let exact: Float32Array | undefined;
    // Between devices, products staged by workgroups differ only in the number of slices, of which a GPU has more.
    const all = isTiled(layout, shape) && shape.adapter === 'hardware';
    for (const asked of all ? names : names.slice(0, 1)) {
      const { gpu, check } = guards(asking(device, asked));
      const variant = gpu.variants.choose(gpu, PRODUCT, shape);
      if (variant.name !== asked) continue; // it does not serve the shape, or the device lacks something
      const label = `${asked}, ${name}`;
      const [left, right] = [gpu.upload(a, 'a'), gpu.upload(b, 'b')];
      const run = async (scale: number, accumulate: 0 | 1) => {
        // If nothing is to be added, the buffer's contents do not matter: it is NaN.
        const c = accumulate ? gpu.upload(before, 'c') : gpu.pool.allocate(before.byteLength, 'c');
        product(gpu, layout, left, right, c, { m, n, k }, { scale, accumulate });
        return new Float32Array(await gpu.read(c), 0, m * n);
      };
      // A sum of k products of normals: its rounding errors add up like a random walk of k steps of half a unit in the
      // last place of a partial sum, which is near √k.
      const loss = variant.reduced ? OF_MAGNITUDES : 0;
      const coarse = loss * Math.max(...magnitude);
      const tolerance = { absolute: 5e-7 * k ** 0.75 + coarse, relative: 1e-6 };
      const plain = await run(1, 0);
      expectClose(plain, sum, { ...tolerance, cols: n, label: `${label}: plain` });
      const scaled = sum.map((value, i) => -0.5 * value + before[i]);
      expectClose(await run(-0.5, 1), scaled, { ...tolerance, cols: n, label: `${label}: scaled and added` });
      requireSameBytes(await run(1, 0), plain, label);
      if (WITH_ENDS.has(`${m} ${n} ${k}`))
        await checkEnds(gpu, layout, { m, n, k }, { left, right, before, sum, tolerance, loss, label });
      await check();
      if (variant.reduced) continue;
      // All add in the same order; a GPU's compiler may still round differently from kernel to kernel.
      if (exact && real.adapter.software) requireSameBytes(plain, exact, `${label}, beside ${names[0]}`);
      exact ??= plain;
    }
  }
}

interface Ends {
  left: BufferView;
  right: BufferView;
  before: Float32Array;
  sum: Float64Array;
  tolerance: Tolerance & { absolute: number };
  /** The error of a factor in half precision, as a share of Σ |a| |b|; 0 in float32. */
  loss: number;
  label: string;
}

/** The same product with a low-rank pair of either kind, and added to a matrix and to a row. */
async function checkEnds(gpu: Gpu, layout: Layout, size: ProductSize, ends: Ends): Promise<void> {
  const { m, n, k } = size;
  const { left, right, before, sum, tolerance, loss, label } = ends;
  const { normals } = random(m + n + k);
  const row = Tensor.from(gpu, before.subarray(0, n), [n], 'a row');
  const matrix = Tensor.from(gpu, before, [m, n], 'a matrix');
  // A rank of 6 is not a whole number of vectors: the pair is then a separate product, as it always is on a software
  // adapter with a rank below 32.
  const cases: readonly [rank: number, addend?: Tensor][] = [
    [0, row],
    [0, matrix],
    [4],
    [6, row],
    [32, matrix],
  ];
  for (const [rank, addend] of cases) {
    if (rank && layout === 'tn') continue;
    const [narrow, wide] = [m * rank, n * rank].map((length) => Float32Array.from(normals(length)));
    const more = reference(layout, narrow, wide, m, n, rank);
    const magnitude = reference(layout, narrow.map(Math.abs), wide.map(Math.abs), m, n, rank);
    const lowRank = rank
      ? { narrow: gpu.upload(narrow, 'narrow'), wide: gpu.upload(wide, 'wide'), rank }
      : undefined;
    const c = gpu.pool.allocate(before.byteLength, 'c');
    product(gpu, layout, left, right, c, { m, n, k }, { lowRank, addend });
    const added = (i: number) => (addend ? before[i % addend.length] : 0);
    const expected = sum.map((value, i) => value + more[i] + added(i));
    const absolute = tolerance.absolute + 1e-6 * rank + loss * Math.max(0, ...magnitude);
    const what = `${label}: rank ${rank}, added to ${addend?.label ?? 'nothing'}`;
    expectClose(new Float32Array(await gpu.read(c), 0, m * n), expected, {
      ...tolerance,
      absolute,
      cols: n,
      label: what,
    });
  }
}

/**
 * Rows with gaps: padded to multiples of four, parts of longer ones, sums that a GPU cuts into slices, and sizes for the
 * general kernel.
 */
const STRIDED: readonly [Layout, Required<ProductSize>][] = [
  ['nt', { m: 5, n: 123, k: 48, aStride: 52, cStride: 124 }],
  ['nt', { m: 20, n: 1, k: 8, aStride: 8, cStride: 12 }],
  ['nt', { m: 5, n: 14, k: 512, aStride: 512, cStride: 24 }],
  ['nt', { m: 3, n: 42, k: 6, aStride: 7, cStride: 44 }],
  ['nn', { m: 5, n: 48, k: 123, aStride: 124, cStride: 48 }],
  ['nn', { m: 18, n: 16, k: 509, aStride: 512, cStride: 20 }],
  ['nn', { m: 3, n: 6, k: 7, aStride: 9, cStride: 11 }],
  ['tn', { m: 123, n: 48, k: 9, aStride: 124, cStride: 48 }],
  ['tn', { m: 13, n: 16, k: 431, aStride: 20, cStride: 24 }],
  ['tn', { m: 7, n: 6, k: 5, aStride: 9, cStride: 8 }],
];

/** The same numbers in rows with gaps, which are filled with `between`. */
function spread(values: Float32Array, cols: number, stride: number, between: number): Float32Array {
  const rows = values.length / cols;
  const wide = new Float32Array(rows * stride).fill(between);
  for (let row = 0; row < rows; row++) wide.set(values.subarray(row * cols, (row + 1) * cols), row * stride);
  return wide;
}

/** A product of rows with gaps, by each of the kernels that support it: the gaps of c keep their contents. */
async function checkStrides(layout: Layout, size: Required<ProductSize>): Promise<void> {
  const { m, n, k, aStride, cStride } = size;
  const real = await testGpu();
  const { normals } = random(m + n + k);
  const [a, b, before] = [m * k, k * n, m * n].map((length) => Float32Array.from(normals(length)));
  const sum = reference(layout, a, b, m, n, k);
  // In nn what follows a row is multiplied; elsewhere it must not matter.
  const between = layout === 'nn' ? 0 : Number.NaN;
  const wideA = spread(a, layout === 'tn' ? m : k, aStride, between);
  const wideC = spread(before, n, cStride, 7);
  for (const { name, gpu: device } of asDevices(real)) {
    const names = isTiled(layout, size) ? PRODUCT_VARIANTS.map((each) => each.name) : ['general'];
    for (const asked of names) {
      const { gpu, check } = guards(asking(device, asked));
      const shape = { ...size, layout, format: 'f32', adapter: device.adapterProfile.kind } as const;
      const variant = gpu.variants.choose(gpu, PRODUCT, shape);
      if (asked !== 'general' && variant.name !== asked) continue;
      const c = gpu.upload(wideC, 'c');
      const options = { scale: -0.5, accumulate: 1 } as const;
      product(gpu, layout, gpu.upload(wideA, 'a'), gpu.upload(b, 'b'), c, size, options);
      const actual = new Float32Array(await gpu.read(c), 0, m * cStride);
      const label = `${asked}, ${name}`;
      const expected = spread(
        Float32Array.from(sum, (value, i) => -0.5 * value + before[i]),
        n,
        cStride,
        7,
      );
      const written = asked === 'general' ? n : 4 * Math.ceil(n / 4);
      const isKept = (i: number) => i % cStride < n || i % cStride >= written;
      // As above; half precision rounds either factor.
      const coarse = variant.reduced ? OF_MAGNITUDES * k : 0;
      expectClose(
        actual.filter((_, i) => isKept(i)),
        expected.filter((_, i) => isKept(i)),
        { absolute: 5e-7 * k ** 0.75 + coarse, relative: 1e-6, label },
      );
      await check();
    }
  }
}

describe('product', () => {
  for (const layout of LAYOUTS) {
    for (const [m, n, k] of SIZES) {
      it(`${layout} (${m}, ${n}), sum of ${k}`, () => check(layout, m, n, k));
    }
  }

  for (const [layout, size] of STRIDED) {
    const { m, n, k, aStride, cStride } = size;
    it(`${layout} (${m}, ${n}), sum of ${k}, rows ${aStride} and ${cStride} apart`, () =>
      checkStrides(layout, size));
  }

  it('uses the general kernel if a dimension is not a multiple of vectors', () => {
    expect(isTiled('nt', { m: 3, n: 8, k: 12 })).to.equal(true);
    expect(isTiled('nt', { m: 4, n: 6, k: 12 })).to.equal(false);
    expect(isTiled('nn', { m: 4, n: 8, k: 6 })).to.equal(false);
    expect(isTiled('tn', { m: 8, n: 8, k: 3 })).to.equal(true);
    expect(isTiled('tn', { m: 6, n: 8, k: 4 })).to.equal(false);
    expect(isTiled('nt', { m: 4, n: 6, k: 12, cStride: 8 })).to.equal(true);
    expect(isTiled('nt', { m: 4, n: 6, k: 10, cStride: 8 })).to.equal(false);
    expect(isTiled('nn', { m: 4, n: 8, k: 6, aStride: 8 })).to.equal(true);
    expect(isTiled('tn', { m: 6, n: 8, k: 3, aStride: 8 })).to.equal(true);
  });

  it('splits only long sums with few results into slices', () => {
    for (const adapter of ['software', 'hardware'] as const) {
      expect(planProduct({ ...plain, adapter, layout: 'tn', m: 8, n: 96, k: 4000 }).slices).to.be.above(4);
      expect(planProduct({ ...plain, adapter, layout: 'nt', m: 4000, n: 1024, k: 96 }).slices).to.equal(1);
      expect(planProduct({ ...plain, adapter, layout: 'tn', m: 8, n: 96, k: 4 }).slices).to.equal(1);
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
    const slices = (m: number) =>
      planProduct({ ...plain, adapter: 'hardware', layout: 'nt', m, n: 576, k: 576 }).slices;
    expect([1, 200].map(slices)).to.deep.equal([2, 2]);
    expect([256, 4096].map(slices), 'many tokens fill a GPU without slices').to.deep.equal([1, 1]);
  });

  it('gives a GPU more threads before more work per thread', () => {
    const { DOWN, ACROSS } = planProduct({
      ...plain,
      adapter: 'hardware',
      layout: 'nt',
      m: 128,
      n: 96,
      k: 96,
    }).constants;
    expect([DOWN, ACROSS]).to.deep.equal([1, 1]);
    const large = planProduct({
      ...plain,
      adapter: 'hardware',
      layout: 'nt',
      m: 4096,
      n: 1024,
      k: 96,
    }).constants;
    expect([large.DOWN, large.ACROSS]).to.deep.equal([2, 2]);
  });
});
