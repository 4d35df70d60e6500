// REINFORCE leave-one-out (Ahmadian et al. 2024, equation 8) as in TRL: the ratio of a whole completion, clipped, without
// division by its length. With ρ = Π π/π_old over the completion, loss = −min(ρA, clip(ρ, 1 − ε, 1 + ε_high) A); every token
// gets the derivative −ρA, or 0 if clipped. The reference is in the advantage: A contains −β log π/π_ref of the completion.

#include "lib/policy.wgsl"

struct Options {
  beta: f32, // of the penalty in the advantage
  epsilon: f32,
  epsilon_high: f32,
}

fn summand(token: Token, options: Options) -> vec4f {
  return vec4f(log_ratio(token), 0.0, 0.0, 0.0);
}

fn loss(token: Token, options: Options) -> TokenResult {
  let ratio = precise_exp(token.sums.x);
  let gain = advantage[token.sequence];
  let loss = clipped_surrogate(ratio, gain, options.epsilon, options.epsilon_high);
  let low = select(0.0, 1.0, ratio < 1.0 - options.epsilon && gain < 0.0);
  let high = select(0.0, 1.0, ratio > 1.0 + options.epsilon_high && gain > 0.0);
  notes = vec4f(low, high, token.sums.x, low + high);
  return TokenResult(loss.value / token.tokens, loss.slope);
}
