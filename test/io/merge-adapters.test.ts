import { expect } from 'chai';
import { Random } from '../../src/data/random.ts';
import { FLOAT_BYTES, toFloat32 } from '../../src/io/float.ts';
import { mergeAdapters } from '../../src/io/merge-adapters.ts';
import type { Adapter } from '../../src/io/peft.ts';
import type { StoredTensor } from '../../src/io/safetensors.ts';
import { expectRefused } from './refused.ts';

const MODULE = 'model.layers.0.self_attn.v_proj';
const [OUT, WIDTH] = [5, 7];
const numbers = new Random(3);
const normals = (count: number) => Float32Array.from({ length: count }, () => numbers.normal());

function stored(values: Float32Array, dtype: keyof typeof FLOAT_BYTES): StoredTensor {
  const data = FLOAT_BYTES[dtype](values).slice();
  return { dtype, shape: [OUT, WIDTH], data, where: 'model, tensor "v"' };
}

function adapter(r: number, loraAlpha: number, useRslora = false): Adapter {
  const pair = { a: normals(r * WIDTH), b: normals(OUT * r), r, in: WIDTH, out: OUT };
  return {
    config: { r, loraAlpha, targetModules: ['v_proj'], useRslora },
    baseModel: '',
    weights: new Map([[MODULE, pair]]),
  };
}

const parts = [
  { adapter: adapter(2, 6), factor: 1 },
  { adapter: adapter(3, 4, true), factor: 0.25 },
];
const SCALES = [6 / 2, (0.25 * 4) / Math.sqrt(3)];

/** The same sum element by element. */
function expected(values: Float32Array): number[] {
  return [...values].map((value, at) => {
    const [o, i] = [Math.floor(at / WIDTH), at % WIDTH];
    return parts.reduce((sum, part, p) => {
      const { a, b, r } = part.adapter.weights.get(MODULE)!;
      let product = 0;
      for (let k = 0; k < r; k++) product += b[o * r + k] * a[k * WIDTH + i];
      return sum + SCALES[p] * product;
    }, value);
  });
}

describe('io/merge-adapters', () => {
  const other: StoredTensor = { dtype: 'I64', shape: [1], data: new Uint8Array(8), where: 'other' };

  // Half the distance of neighboring numbers of the type; the sum before is exact to float64.
  for (const [dtype, half] of [
    ['F32', 2 ** -24],
    ['F16', 2 ** -11],
    ['BF16', 2 ** -8],
  ] as const) {
    it(`adds all adapters into ${dtype} and rounds once`, () => {
      const weight = stored(normals(OUT * WIDTH), dtype);
      const before = weight.data.slice();
      const merged = mergeAdapters(
        new Map([
          [`${MODULE}.weight`, weight],
          ['other', other],
        ]),
        parts,
      );
      const written = merged.get(`${MODULE}.weight`)!;
      expect(written.dtype).to.equal(dtype);
      const sums = expected(toFloat32(weight));
      const values = toFloat32({ ...weight, data: written.data as StoredTensor['data'] });
      for (const [i, sum] of sums.entries()) {
        expect(Math.abs(values[i] - sum), `element ${i}`).to.be.at.most(half * 1.001 * Math.abs(sum) + 1e-7);
      }
      expect(merged.get('other')).to.equal(other);
      expect(weight.data, 'the source').to.deep.equal(before);
    });
  }

  it('rejects weights of unsupported types, sums that overflow, and modules without weights', async () => {
    const weight = stored(normals(OUT * WIDTH), 'F16');
    const merge =
      (tensor: StoredTensor, factor = 1) =>
      () =>
        mergeAdapters(new Map([[`${MODULE}.weight`, tensor]]), [{ adapter: adapter(2, 6), factor }]);
    const quantised: StoredTensor = { ...weight, dtype: 'F8_E4M3', data: weight.data.slice(0, OUT * WIDTH) };
    await expectRefused(merge(quantised), 'tensor "v"', 'F8_E4M3', 'Convert the weights');
    await expectRefused(merge(weight, 1e6), 'tensor "v"', 'F16 cannot', 'Convert the model to F32');
    await expectRefused(() => mergeAdapters(new Map(), parts), `${MODULE}.weight`);
  });
});
