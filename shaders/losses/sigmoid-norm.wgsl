// DPO on means over tokens (the length-normalized loss of Tülu 3, Lambert et al. 2024):
// z = β (s₊/n₊ − s₋/n₋),  loss = −log σ(z),  dloss/dz = −σ(−z).

#include "lib/pairwise.wgsl"

struct Options {
  beta: f32,
}

fn loss(pair: Pair, options: Options) -> PairResult {
  let chosen = tokens_of(pair.chosen);
  let rejected = tokens_of(pair.rejected);
  let margin = pair.chosen.score / chosen - pair.rejected.score / rejected;
  let loss = logistic(scaled(options.beta, margin), 0.0);
  return of_scores(pair, loss.value, options.beta / chosen * loss.slope, -options.beta / rejected * loss.slope);
}
