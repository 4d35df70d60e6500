// What losses on sampled tokens share: advantages, the log-probabilities of the policy that sampled, and the ratio to it.
// A loss file includes this one in place of the driver.

#include "lib/tokenwise.wgsl"

@group(0) @binding(8) var<storage, read> advantage: array<f32>; // (records): one a completion
@group(0) @binding(9) var<storage, read> old_logprobs: array<f32>; // (R): of the policy that sampled

// The clipped surrogate −min(ρA, clip(ρ, 1 − ε, 1 + ε_high) A) (Schulman et al. 2017, equation 7) and its derivative to log ρ.
// At a border it is alive, as in PyTorch.
fn clipped_surrogate(ratio: f32, gain: f32, low: f32, high: f32) -> Curve {
  let inside = ratio * gain;
  let bound = clamp(ratio, 1.0 - low, 1.0 + high) * gain;
  return Curve(-min(inside, bound), select(-inside, 0.0, inside > bound));
}
