// Blocks of 32 signed bytes with a scale. 17 words for two blocks: both scales, then the bytes.

#include "lib/half.wgsl"
#include "lib/weight1.wgsl"

alias Packed = u32;

fn weight4(at: u32) -> vec4f {
  let pair = at / 16u * 17u;
  let scale = half(weights[pair] >> (at / 8u % 2u * 16u));
  let bytes = vec4i(vec4u(weights[pair + 1u + at % 16u]) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u);
  return scale * vec4f(bytes);
}
