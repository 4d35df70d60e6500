// Simple preference optimization (Meng et al. 2024, equation 6), without reference: with l̄ the mean of log π over tokens
// z = β (l̄₊ − l̄₋) − γ,  loss = −(1 − ε) log σ(z) − ε log σ(−z),  dloss/dz = ε σ(z) − (1 − ε) σ(−z).

#include "lib/pairwise.wgsl"

struct Options {
  beta: f32,
  label_smoothing: f32,
  simpo_gamma: f32, // γ, the target margin
}

fn loss(pair: Pair, options: Options) -> PairResult {
  let chosen = options.beta / tokens_of(pair.chosen);
  let rejected = options.beta / tokens_of(pair.rejected);
  rewards = vec2f(chosen * pair.chosen.logp, rejected * pair.rejected.logp);
  let loss = logistic(rewards.x - rewards.y - options.simpo_gamma, options.label_smoothing);
  return PairResult(loss.value, chosen * loss.slope, -rejected * loss.slope);
}
