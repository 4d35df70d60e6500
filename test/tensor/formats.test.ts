/** Every format as kernels read it, compared with the reader on the host: four weights at a time and one, bit for bit. */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import { gather } from '../../src/ops/gather.ts';
import { product } from '../../src/ops/product.ts';
import { bytesOf, deviceBytes, FORMATS, packed, type WeightDtype } from '../../src/tensor/formats.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import fixture from '../fixtures/quantised.json' with { type: 'json' };
import { decodeBytes } from '../reference/fixtures.ts';
import { testGpu } from '../support/gpu.ts';
import { DTYPES, randomWeights, storedName, valuesOf, weightsFrom } from '../support/weights.ts';

/** Bytes whose values are finite, including the fixture's extremes, in rows of `cols`. */
function tableOf(dtype: WeightDtype): { data: Uint8Array<ArrayBuffer>; cols: number } {
  if (dtype === 'f16' || dtype === 'bf16') {
    // All values that exist; a bfloat16 that is subnormal in f32 may be read as zero.
    const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
    const exponent = dtype === 'f16' ? 0x7c00 : 0x7f80;
    const sound = all.filter(
      (bits) => (bits & exponent) !== exponent && (dtype === 'f16' || (bits & exponent) !== 0),
    );
    return { data: new Uint8Array(sound.buffer), cols: 512 };
  }
  if (dtype === 'f32') return { data: randomWeights(dtype, 4096, 1).data, cols: 64 };
  const { elements, bytes } = FORMATS[dtype];
  const blocks = decodeBytes(fixture.read[storedName(dtype) as keyof typeof fixture.read].blocks);
  const kept: number[] = [];
  for (let at = 0; at < blocks.length; at += bytes) {
    const block = blocks.slice(at, at + bytes);
    if (valuesOf(dtype, block).every(Number.isFinite)) kept.push(...block);
  }
  return { data: Uint8Array.from(kept), cols: elements };
}

/** The table with its first rows repeated up to a multiple of four, so that products read it as vectors. */
function inFours({ data, cols }: ReturnType<typeof tableOf>, dtype: WeightDtype): ReturnType<typeof tableOf> {
  const rowBytes = bytesOf(dtype, cols);
  const more = (4 - ((data.length / rowBytes) % 4)) % 4;
  return { data: Uint8Array.from([...data, ...data.subarray(0, more * rowBytes)]), cols };
}

/** The table by `weight1`, every row gathered, and by `weight4`, as a product with the identity. */
async function readBack(gpu: Gpu, table: Tensor) {
  const { rows, cols } = table;
  const tape = Tape.forInference(gpu);
  const indices = Tensor.from(
    gpu,
    Uint32Array.from({ length: rows }, (_, i) => i),
    [rows],
  );
  const one = await gather(tape, table, { indices }).toArray(gpu);
  const identity = new Float32Array(rows * rows);
  for (let i = 0; i < rows; i++) identity[i * rows + i] = 1;
  const c = tape.empty([rows, cols], 'c');
  product(gpu, 'nn', Tensor.from(gpu, identity, [rows, rows]), table, c, { m: rows, n: cols, k: rows });
  const four = await c.toArray(gpu);
  tape.dispose();
  return { one, four };
}

describe('formats', () => {
  for (const dtype of DTYPES) {
    it(`${dtype} is read like on the host, bit for bit`, async () => {
      const gpu = await testGpu();
      const { data, cols } = inFours(tableOf(dtype), dtype);
      const values = valuesOf(dtype, data);
      const rows = values.length / cols;
      const table = weightsFrom(gpu, data, [rows, cols], dtype, dtype);
      const { one, four } = await readBack(gpu, table);
      for (const [i, value] of values.entries()) {
        // −0 and 0 may be exchanged: a sum of zeros is 0.
        if (one[i] !== value) expect.fail(`weight ${i} of ${rows} × ${cols}: ${one[i]} is not ${value}`);
        if (four[i] !== value) expect.fail(`of four, weight ${i}: ${four[i]} is not ${value}`);
      }
      gpu.pool.release(table);
    });
  }

  it('takes the stated number of bytes, in whole words, without loss', () => {
    for (const dtype of DTYPES) {
      const { elements, bytes } = FORMATS[dtype];
      for (const blocks of [1, 2, 5]) {
        const { data } = randomWeights(dtype, blocks * elements, blocks);
        expect(data.length, dtype)
          .to.equal(blocks * bytes)
          .and.to.equal(bytesOf(dtype, blocks * elements));
        const laid = packed(dtype, data);
        expect(laid.length, dtype).to.equal(deviceBytes(dtype, blocks * elements));
        expect(laid.length % 4, dtype).to.equal(0);
        const count = (all: Uint8Array) =>
          all
            .toSorted()
            .join()
            .replace(/^(0,)*/, '');
        expect(count(laid), dtype).to.equal(count(data));
      }
    }
  });

  it('rejects bytes that do not match the shape', async () => {
    const gpu = await testGpu();
    expect(() => weightsFrom(gpu, new Uint8Array(34), [1, 64], 'q8_0', 'w')).to.throw(
      '34 bytes do not match w (1, 64) q8_0',
    );
  });
});
