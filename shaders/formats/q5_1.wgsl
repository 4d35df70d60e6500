// Blocks of 32 five-bit numbers with a scale and a minimum. 6 words per block: scale and minimum, the fifth bits, the
// nibbles; the low nibbles are the first half.

#include "lib/half.wgsl"
#include "lib/quants.wgsl"
#include "lib/weight1.wgsl"

alias Packed = u32;

fn weight4(at: u32) -> vec4f {
  let block = at / 8u * 6u;
  let scales = weights[block];
  let nibbles = bits4(weights[block + 2u + at % 4u], at / 4u % 2u * 4u, 15u);
  let quants = nibbles | fifths4(weights[block + 1u], at % 8u * 4u);
  return half(scales) * vec4f(quants) + half(scales >> 16u);
}
