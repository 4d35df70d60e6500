// Weights in half precision, two a word. No `shader-f16` is needed.

#include "lib/half.wgsl"
#include "lib/weight1.wgsl"

alias Packed = vec2u;

fn weight4(at: u32) -> vec4f {
  let words = weights[at];
  return half4(vec4u(words.x, words.x >> 16u, words.y, words.y >> 16u));
}
