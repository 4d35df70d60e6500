/** Rows packed to half their bytes and unpacked, number by number compared with the reference. */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import { HALVES } from '../../src/ops/halves.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, maxAbs, random } from '../reference/compare.ts';
import { halved } from '../reference/halves.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { asDevices, requireSameBytes } from '../support/op.ts';

const LARGEST = 3.4028234663852886e38;

/** Packed and unpacked, between guard regions. */
async function thereAndBack(real: Gpu, values: Float32Array, shape: readonly [number, number]) {
  const { gpu, check } = guards(real);
  const x = Tensor.from(gpu, values, shape, 'x');
  const words = HALVES.words(x)!;
  const packed = gpu.pool.allocate(4 * words, 'packed');
  HALVES.pack(gpu, x, packed);
  const y = new Tensor(gpu.pool.allocate(x.size, 'y'), shape);
  HALVES.unpack(gpu, packed, y);
  const found = await y.toArray(gpu);
  await check();
  return found;
}

async function checkRows(values: Float32Array, shape: readonly [number, number]): Promise<Float32Array> {
  const expected = Float32Array.from(halved(values, { rows: shape[0], cols: shape[1] }));
  const results = [];
  for (const { name, gpu } of asDevices(await testGpu())) {
    const found = await thereAndBack(gpu, values, shape);
    requireSameBytes(found, expected, name);
    results.push(found);
  }
  return results[0];
}

describe('halves', () => {
  for (const shape of [
    [1, 4],
    [5, 12],
    [17, 100],
    [123, 96],
    [3, 1028],
  ] as const) {
    for (const scale of [1, 1e-30, 1e-38, 1e30]) {
      it(`(${shape.join(', ')}), numbers near ${scale}`, async () => {
        const values = Float32Array.from(random(shape[1]).normals(shape[0] * shape[1], scale));
        const found = await checkRows(values, shape);
        // Half of the last of eleven bits; below 2^−126 the precision of float32 itself, of which thirteen bits are
        // dropped.
        expectClose(found, values, { relative: 2 ** -11, absolute: 2 ** -137 });
      });
    }
  }

  it('numbers of all sizes in one row: those far below the largest lose bits, then vanish', async () => {
    const { normals, uniform } = random(5);
    const values = Float32Array.from(normals(40 * 64), (value) => value * 10 ** (76 * uniform() - 38));
    const found = await checkRows(values, [40, 64]);
    for (let row = 0; row < 40; row++) {
      const own = values.subarray(64 * row, 64 * (row + 1));
      const absolute = maxAbs(own) * 2 ** -29;
      expectClose(found.subarray(64 * row, 64 * (row + 1)), own, { relative: 2 ** -11, absolute });
    }
  });

  it('numbers that half precision represents are restored bit for bit, including signed zeros, and so are unpacked ones', async () => {
    const exact = [0, -0, 1, -1, 0.5, 2047, -2046 / 4096, 2 ** -15];
    const found = await checkRows(Float32Array.from(exact), [1, 8]);
    requireSameBytes(found, Float32Array.from(exact), 'exact numbers');
    const once = await checkRows(Float32Array.from(random(9).normals(12 * 32)), [12, 32]);
    requireSameBytes(await checkRows(once, [12, 32]), once, 'a second time');
  });

  it('ties go to even', async () => {
    const step = 2 ** -10;
    const ties = [1 + step / 2, 1 + 1.5 * step, -(1 + step / 2), 1 + step / 2 + 2 ** -23];
    expect([...(await checkRows(Float32Array.from(ties), [1, 4]))]).to.deep.equal([
      1,
      1 + 2 * step,
      -1,
      1 + step,
    ]);
  });

  it('no finite number overflows', async () => {
    const edges = [LARGEST, -LARGEST, 1, 0, 65504, 65520, 1e9, -1e-9];
    const found = await checkRows(Float32Array.from(edges), [2, 4]);
    expect(found.every(Number.isFinite)).to.equal(true);
  });

  it('denormal numbers and zeros', async () => {
    const tiny = 2 ** -149;
    await checkRows(Float32Array.from([tiny, -tiny, 3 * tiny, 0, 1e-40, -1e-39, 2 ** -126, 0]), [2, 4]);
    expect([...(await checkRows(new Float32Array(24), [2, 12]))]).to.deep.equal(Array(24).fill(0));
  });

  it('a row that contains NaN or an infinity becomes NaN, its neighbors do not', async () => {
    for (const odd of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const values = Float32Array.from([1, 2, 3, 4, 1, odd, 3, 4, 5, 6, 7, 8]);
      const found = await checkRows(values, [3, 4]);
      expect([...found]).to.deep.equal([1, 2, 3, 4, ...Array(4).fill(Number.NaN), 5, 6, 7, 8]);
    }
  });

  it('takes half of the words plus two per row, and only rows of whole vectors', async () => {
    const gpu = await testGpu();
    const wordsOf = (shape: readonly number[], data: Float32Array | Uint32Array) =>
      HALVES.words(Tensor.from(gpu, data, shape));
    expect(wordsOf([3, 8], new Float32Array(24))).to.equal(3 * (2 + 4));
    expect(wordsOf([3, 6], new Float32Array(18))).to.equal(undefined);
    expect(wordsOf([3, 8], new Uint32Array(24))).to.equal(undefined);
  });
});
