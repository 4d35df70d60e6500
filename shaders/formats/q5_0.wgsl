// Blocks of 32 five-bit numbers with an offset of 16 and a scale. 11 words for two blocks: both scales, then for each
// block its fifth bits and its nibbles; the low nibbles are the first half.

#include "lib/half.wgsl"
#include "lib/quants.wgsl"
#include "lib/weight1.wgsl"

alias Packed = u32;

fn weight4(at: u32) -> vec4f {
  let pair = at / 16u * 11u;
  let block = at / 8u % 2u;
  let scale = half(weights[pair] >> (block * 16u));
  let start = pair + 1u + block * 5u;
  let nibbles = bits4(weights[start + 1u + at % 4u], at / 4u % 2u * 4u, 15u);
  return scale * (vec4f(nibbles | fifths4(weights[start], at % 8u * 4u)) - 16.0);
}
