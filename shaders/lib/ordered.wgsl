// Integers in the same order as floats.

// Both zeros map to the same integer.
fn ordered(x: f32) -> u32 {
  let bits = select(bitcast<u32>(x), 0u, x == 0.0);
  return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

// The float of an ordered integer.
fn float_of(rank: u32) -> f32 {
  return bitcast<f32>(select(~rank, rank & 0x7fffffffu, rank >= 0x80000000u));
}

// The first integer whose float is at least x + distance. If rounding makes the sum too small, it is the next one up.
fn ordered_from(x: f32, distance: f32) -> u32 {
  let sum = x + distance;
  return ordered(sum) + select(0u, 1u, sum - x < distance);
}
