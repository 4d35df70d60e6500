import { expect } from 'chai';
import { toFloat32 } from '../../src/io/float.ts';
import { BLOCKS, type BlockDtype, dequantise, quantise } from '../../src/io/quantised.ts';
import fixture from '../fixtures/quantised.json' with { type: 'json' };
import { decodeArray, decodeBytes } from '../reference/fixtures.ts';

const DTYPES = Object.keys(BLOCKS) as BlockDtype[];

describe('io/quantised', () => {
  for (const dtype of DTYPES) {
    it(`reads ${dtype} bit for bit as gguf-py does, at any address`, () => {
      const { blocks, values } = fixture.read[dtype];
      const bytes = decodeBytes(blocks);
      const expected = decodeArray(values);
      const shifted = new Uint8Array(bytes.length + 3);
      shifted.set(bytes, 3);
      for (const given of [bytes, shifted.subarray(3)]) {
        const actual = dequantise(dtype, given);
        expect(actual.length).to.equal(expected.length);
        // Object.is: −0 is not 0, and all NaNs are equal, whose payload depends on the processor.
        for (const [i, value] of expected.entries()) {
          if (!Object.is(actual[i], value)) expect.fail(`weight ${i}: ${actual[i]} is not ${value}`);
        }
      }
      expect(toFloat32({ dtype, data: bytes, where: '' })).to.deep.equal(dequantise(dtype, bytes));
    });
  }

  for (const dtype of ['Q8_0', 'Q4_0'] as const) {
    it(`writes the same ${dtype} blocks as gguf-py`, () => {
      const blocks = quantise(dtype, decodeArray(fixture.values));
      expect(blocks).to.deep.equal(decodeBytes(fixture.made[dtype]));
    });
  }
});
