// Weights in bfloat16, the upper halves of float32, two a word.

#include "lib/weight1.wgsl"

alias Packed = vec2u;

fn weight4(at: u32) -> vec4f {
  let words = weights[at];
  let upper = words & vec2u(0xffff0000u);
  let lower = words << vec2u(16u);
  return bitcast<vec4f>(vec4u(lower.x, upper.x, lower.y, upper.y));
}
