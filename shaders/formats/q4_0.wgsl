// Blocks of 32 nibbles with an offset of 8 and a scale; the low nibbles are the first half. 9 words for two blocks: both
// scales, then the nibbles.

#include "lib/half.wgsl"
#include "lib/quants.wgsl"
#include "lib/weight1.wgsl"

alias Packed = u32;

fn weight4(at: u32) -> vec4f {
  let pair = at / 16u * 9u;
  let block = at / 8u % 2u;
  let scale = half(weights[pair] >> (block * 16u));
  let quants = bits4(weights[pair + 1u + block * 4u + at % 4u], at / 4u % 2u * 4u, 15u);
  return scale * (vec4f(quants) - 8.0);
}
