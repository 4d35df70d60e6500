// Shared by losses on sampled tokens: advantages, log-probabilities of the sampling policy, the ratio to it, and
// surrogates. A loss file includes this file instead of the driver.

#include "lib/tokenwise.wgsl"

@group(0) @binding(8) var<storage, read> advantage: array<f32>; // (records), one per completion, or (R), one per token
@group(0) @binding(9) var<storage, read> old_logprobs: array<f32>; // (R): of the policy that sampled, or POLICYS_OWN

// A log-probability is never above 0. A value above this threshold means that the current policy itself sampled the tokens,
// so that the ratio is 1 and nothing had to be scored.
const POLICYS_OWN: f32 = 0.5;

// log π/π_old of a token.
fn log_ratio(token: Token) -> f32 {
  let old = old_logprobs[token.row];
  return select(token.logp - old, 0.0, old > POLICYS_OWN);
}

// The clipped surrogate −min(ρA, clip(ρ, 1 − ε, 1 + ε_high) A) (Schulman et al. 2017, equation 7) and its derivative to log ρ.
// At a boundary it has a gradient, as in PyTorch.
fn clipped_surrogate(ratio: f32, gain: f32, low: f32, high: f32) -> Curve {
  return two_sided_surrogate(ratio, gain, low, high, ratio);
}

// The same, with an additional bound `most` for the unclipped ratio (arXiv 2505.07291): without it, a bad
// token that has become much more likely has unlimited weight.
fn two_sided_surrogate(ratio: f32, gain: f32, low: f32, high: f32, most: f32) -> Curve {
  let bounded = min(ratio, most);
  let clipped = clamp(ratio, 1.0 - low, 1.0 + high);
  let slope = -ratio * gain;
  let is_clipped = bounded * gain > clipped * gain;
  let is_alive = select(ratio <= most, clipped == ratio, is_clipped);
  return Curve(-min(bounded * gain, clipped * gain), select(0.0, slope, is_alive));
}
