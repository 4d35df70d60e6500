// Half precision (binary16) decoded with integer arithmetic: exact for subnormals, which unpack2x16float may flush to zero. The scales
// of small weights are subnormal. Infinities and NaN, which no valid model contains, become large numbers.

const HALF_SMALLEST_NORMAL = 6.103515625e-5; // 2^−14

// The lower sixteen bits.
fn half(bits: u32) -> f32 {
  let magnitude = (bits & 0x7fffu) << 13u;
  // The exponent is rebiased by 112. A subnormal is decoded with an extra 2^−14, which is subtracted.
  let normal = bitcast<f32>(magnitude + 0x38000000u);
  let subnormal = bitcast<f32>(magnitude + 0x38800000u) - HALF_SMALLEST_NORMAL;
  let value = select(normal, subnormal, magnitude < 0x00800000u);
  return bitcast<f32>(bitcast<u32>(value) | ((bits & 0x8000u) << 16u));
}
