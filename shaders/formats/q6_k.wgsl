// Blocks of 256 six-bit numbers with an offset of 32, in sixteen runs with signed scales, and one half-precision scale. 105 words for
// two blocks: both half-precision scales, then for each block the lower four bits, the upper two, and the scales.

#include "lib/half.wgsl"
#include "lib/quants.wgsl"
#include "lib/weight1.wgsl"

alias Packed = u32;

fn weight4(at: u32) -> vec4f {
  let pair = at / 128u * 105u;
  let block = at / 64u % 2u;
  let start = pair + 1u + block * 52u;
  let part = at / 32u % 2u; // of 128 weights
  let lower = bits4(weights[start + part * 16u + at % 16u], at / 16u % 2u * 4u, 15u);
  let upper = bits4(weights[start + 32u + part * 8u + at % 8u], at / 8u % 4u * 2u, 3u);
  let run = at / 4u % 16u;
  let scale = i32(weights[start + 48u + run / 4u] << (24u - run % 4u * 8u)) >> 24u;
  let quants = vec4f(lower | (upper << vec4u(4u))) - 32.0;
  return half(weights[pair] >> (block * 16u)) * f32(scale) * quants;
}
