/**
 * Conversion between 16-bit floats and float32: half (binary16) and bfloat16 are read exactly, and written with ties to
 * even. Uses bit operations only; exact for subnormals, infinities and NaN payloads.
 */

/** Converts binary16 bits to float32. */
export function halfToFloat32(halfs: Uint16Array): Float32Array<ArrayBuffer> {
  const floats = new Float32Array(halfs.length);
  const bits = new Uint32Array(floats.buffer);
  for (let i = 0; i < halfs.length; i++) {
    const half = halfs[i];
    const sign = (half & 0x8000) << 16;
    const magnitude = half & 0x7fff;
    if (magnitude < 0x0400) {
      // Zero or subnormal: a multiple of 2^-24. The sign is set as a bit, so that -0 stays -0.
      floats[i] = magnitude * 2 ** -24;
      bits[i] = bits[i] | sign;
    } else {
      // Rebias the exponent by 112; infinity and NaN need it twice, to reach 255.
      const rebias = magnitude < 0x7c00 ? 0x38000000 : 0x70000000;
      bits[i] = sign | ((magnitude << 13) + rebias);
    }
  }
  return floats;
}

/** Converts bfloat16 bits to float32: the upper half of the word. */
export function bfloat16ToFloat32(halfs: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(halfs.length);
  for (let i = 0; i < halfs.length; i++) bits[i] = halfs[i] << 16;
  return new Float32Array(bits.buffer);
}

/** Converts float32 to binary16 bits, ties to even; values of 65520 or more become infinity. */
export function float32ToHalf(floats: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
  const halfs = new Uint16Array(floats.length);
  for (let i = 0; i < halfs.length; i++) {
    const word = bits[i];
    const sign = (word >>> 16) & 0x8000;
    const magnitude = word & 0x7fffffff;
    let half: number;
    if (magnitude > 0x7f800000) {
      half = 0x7c00 | ((magnitude >>> 13) & 0x3ff || 0x200); // NaN with a nonzero payload, so that it is not infinity
    } else if (magnitude >= 0x477ff000) {
      half = 0x7c00;
    } else if (magnitude >= 0x38800000) {
      half = (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13;
    } else {
      // Subnormal: count steps of 2^-24. Adding 2^52 rounds a double to an integer, ties to even.
      half = Math.abs(floats[i]) * 2 ** 24 + 2 ** 52 - 2 ** 52;
    }
    halfs[i] = sign | half;
  }
  return halfs;
}

/** Converts float32 to bfloat16 bits, ties to even; NaN stays NaN. */
export function float32ToBfloat16(floats: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
  return Uint16Array.from(bits, (word) =>
    (word & 0x7fffffff) > 0x7f800000 ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16,
  );
}
