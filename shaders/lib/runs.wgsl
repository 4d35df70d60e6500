// Scale and minimum of one of the eight runs of a block of 256 weights: two half-precision factors with six bits each. Runs
// 0 to 3 have their six bits in one byte, whose two spare bits are the upper bits of runs 4 to 7.

#include "lib/half.wgsl"

// `block` is the block's first word.
fn run_scales(block: u32, run: u32) -> vec2f {
  let halves = weights[block];
  let byte = run % 4u * 8u;
  let own = vec2u(weights[block + 1u], weights[block + 2u]) >> vec2u(byte);
  let lower = vec2u(weights[block + 3u]) >> (vec2u(byte) + vec2u(0u, 4u));
  let upper = ((own >> vec2u(6u)) & vec2u(3u)) << vec2u(4u);
  let scales = select((lower & vec2u(15u)) | upper, own & vec2u(63u), run < 4u);
  return vec2f(half(halves), half(halves >> 16u)) * vec2f(scales);
}
