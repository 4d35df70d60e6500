// Half precision (binary16) by whole numbers: exact for subnormals, which unpack2x16float may take for zero, and the scales
// of small weights are. Infinities and NaN, which no sound model holds, come out as large numbers.

const HALF_SMALLEST_NORMAL = 6.103515625e-5; // 2^−14

// The lower sixteen bits.
fn half(bits: u32) -> f32 {
  let magnitude = (bits & 0x7fffu) << 13u;
  // The exponent is rebiased by 112. A subnormal becomes 2^−14 and more, of which 2^−14 is taken off.
  let normal = bitcast<f32>(magnitude + 0x38000000u);
  let subnormal = bitcast<f32>(magnitude + 0x38800000u) - HALF_SMALLEST_NORMAL;
  let value = select(normal, subnormal, magnitude < 0x00800000u);
  return bitcast<f32>(bitcast<u32>(value) | ((bits & 0x8000u) << 16u));
}
