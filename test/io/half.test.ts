import { expect } from 'chai';
import { bfloat16ToFloat32, float32ToBfloat16, float32ToHalf, halfToFloat32 } from '../../src/io/half.ts';

const allHalves = Uint16Array.from({ length: 65536 }, (_, i) => i);

/** binary16 by its definition. */
function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

describe('io/half', () => {
  it('reads all 65,536 halves correctly, including −0', () => {
    const floats = halfToFloat32(allHalves);
    for (const bits of allHalves) {
      if (!Object.is(floats[bits], halfValue(bits))) expect.fail(`${bits.toString(16)}: ${floats[bits]}`);
    }
  });

  it('writes all 65,536 back with the same bits, NaN payloads included', () => {
    expect(float32ToHalf(halfToFloat32(allHalves))).to.deep.equal(allHalves);
  });

  it('rounds to the nearest half, ties to even', () => {
    for (let bits = 0; bits < 0x7bff; bits++) {
      const low = halfValue(bits);
      const high = halfValue(bits + 1);
      const middle = (low + high) / 2;
      const even = bits % 2 === 0 ? bits : bits + 1;
      const close = middle * 2 ** -22;
      const floats = Float32Array.of(middle, -middle, middle - close, middle + close);
      const expected = [even, even | 0x8000, bits, bits + 1];
      const halves = Array.from(float32ToHalf(floats));
      if (halves.join() !== expected.join())
        expect.fail(`${bits.toString(16)}: ${halves} is not ${expected}`);
    }
  });

  it('writes all 65,536 bfloat16 back with the same bits, and rounds to the nearest, ties to even', () => {
    const floats = bfloat16ToFloat32(allHalves);
    const back = float32ToBfloat16(floats);
    for (const bits of allHalves) {
      // A signalling NaN becomes a quiet one.
      const expected = Number.isNaN(floats[bits]) ? bits | 0x40 : bits;
      if (back[bits] !== expected) expect.fail(`${bits.toString(16)}: ${back[bits]}`);
    }
    const near = Uint32Array.of(
      0x3f808000,
      0x3f818000,
      0x3f808001,
      0x3f817fff,
      0xbf818000,
      0x7f7fffff,
      0x7f80ffff,
    );
    const rounded = [0x3f80, 0x3f82, 0x3f81, 0x3f81, 0xbf82, 0x7f80, 0x7fc0];
    expect([...float32ToBfloat16(new Float32Array(near.buffer))]).to.deep.equal(rounded);
  });

  it('rounds to infinity from half a step above the largest half, and to zero below half the smallest', () => {
    const floats = Float32Array.of(
      65519.996,
      65520,
      1e38,
      Number.NEGATIVE_INFINITY,
      2 ** -25,
      2 ** -25 * 1.0001,
      -1e-40,
    );
    expect(Array.from(float32ToHalf(floats))).to.deep.equal([0x7bff, 0x7c00, 0x7c00, 0xfc00, 0, 1, 0x8000]);
  });

  it('keeps a NaN even if its payload is lost', () => {
    const floats = new Float32Array(Uint32Array.of(0x7f800001, 0xff800001).buffer);
    expect(Array.from(float32ToHalf(floats))).to.deep.equal([0x7e00, 0xfe00]);
  });

  it('reads bfloat16 as the upper half of a float32', () => {
    const words = new Uint32Array(bfloat16ToFloat32(allHalves).buffer);
    expect(words.every((word, i) => word === (i << 16) >>> 0)).to.equal(true);
  });
});
