// Weights in bfloat16, the upper halves of float32, two per word.

alias Packed = vec2u;

fn weight4(at: u32) -> vec4f {
  let words = weights[at];
  let upper = words & vec2u(0xffff0000u);
  let lower = words << vec2u(16u);
  return bitcast<vec4f>(vec4u(lower.x, upper.x, lower.y, upper.y));
}

fn weight1(at: u32) -> f32 {
  let word = weights[at / 4u][at / 2u % 2u];
  return bitcast<f32>(select(word << 16u, word & 0xffff0000u, at % 2u == 1u));
}
