// Blocks of 256 nibbles in eight runs of 32, each with a scale and a minimum. 36 words: the scales of the scales, the scales,
// and the nibbles, low and high ones for every two runs.

#include "lib/quants.wgsl"
#include "lib/runs.wgsl"
#include "lib/weight1.wgsl"

alias Packed = u32;

fn weight4(at: u32) -> vec4f {
  let block = at / 64u * 36u;
  let run = at / 8u % 8u;
  let scales = run_scales(block, run);
  let quants = bits4(weights[block + 4u + run / 2u * 8u + at % 8u], run % 2u * 4u, 15u);
  return scales.x * vec4f(quants) - scales.y;
}
