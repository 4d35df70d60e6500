// Blocks of 256 five-bit numbers in eight runs of 32, each with a scale and a minimum. 44 words: the scales of the scales,
// the scales, the fifth bits (one bit of each byte per run), and the nibbles, low and high ones for every two runs.

#include "lib/quants.wgsl"
#include "lib/runs.wgsl"
#include "lib/weight1.wgsl"

alias Packed = u32;

fn weight4(at: u32) -> vec4f {
  let block = at / 64u * 44u;
  let run = at / 8u % 8u;
  let scales = run_scales(block, run);
  let nibbles = bits4(weights[block + 12u + run / 2u * 8u + at % 8u], run % 2u * 4u, 15u);
  let fifths = bits4(weights[block + 4u + at % 8u], run, 1u) << vec4u(4u);
  return scales.x * vec4f(nibbles | fifths) - scales.y;
}
