// The derivative of logits, given as bits, that have gone through a soft cap if CAPPED. The including file has it in its Params.

#include "lib/soft-cap.wgsl"

alias Capped = f32;
const CAPPED: bool = false;

// d logit / d logit before the cap
fn cap_slope(bits: u32) -> f32 {
  if (CAPPED) {
    return soft_cap_slope(bitcast<f32>(bits), params.soft_cap);
  }
  return 1.0;
}
