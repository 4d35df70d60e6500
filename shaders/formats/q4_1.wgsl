// Blocks of 32 nibbles with a scale and a minimum; the low nibbles are the first half. 5 words per block.

#include "lib/half.wgsl"
#include "lib/quants.wgsl"
#include "lib/weight1.wgsl"

alias Packed = u32;

fn weight4(at: u32) -> vec4f {
  let block = at / 8u * 5u;
  let scales = weights[block];
  let quants = bits4(weights[block + 1u + at % 4u], at / 4u % 2u * 4u, 15u);
  return half(scales) * vec4f(quants) + half(scales >> 16u);
}
