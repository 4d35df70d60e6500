// PPO's clipped surrogate for one token (Schulman et al. 2017, equation 7): with ρ = π/π_old of the token and its own advantage
// A, loss = −min(ρA, clip(ρ, 1 − c, 1 + c) A). The reference is in the advantage: rewards contain −β log π/π_ref.

#include "lib/policy.wgsl"

struct Options {
  beta: f32, // of the penalty in the advantage
  cliprange: f32,
}

fn summand(token: Token, options: Options) -> vec4f {
  return vec4f();
}

fn loss(token: Token, options: Options) -> TokenResult {
  let change = token.logp - old_logprobs[token.row];
  let ratio = precise_exp(change);
  let gain = advantage[token.row];
  let loss = clipped_surrogate(ratio, gain, options.cliprange, options.cliprange);
  let bound = clamp(ratio, 1.0 - options.cliprange, 1.0 + options.cliprange);
  let clipped = select(0.0, 1.0, bound * gain < ratio * gain);
  notes = vec4f(clipped, 0.5 * change * change, ratio, (ratio - 1.0) * (ratio - 1.0));
  return TokenResult(loss.value, loss.slope);
}
