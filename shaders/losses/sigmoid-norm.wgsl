// DPO on means over tokens (the length-normalised loss of Tülu 3, Lambert et al. 2024):
// z = β (s₊/n₊ − s₋/n₋),  loss = −log σ(z),  dloss/dz = −σ(−z).

#include "lib/pairwise.wgsl"

struct Options {
  beta: f32,
}

fn loss(pair: Pair, options: Options) -> PairResult {
  let chosen = options.beta / tokens_of(pair.chosen);
  let rejected = options.beta / tokens_of(pair.rejected);
  let loss = logistic(chosen * pair.chosen.score - rejected * pair.rejected.score, 0.0);
  return of_scores(pair, loss.value, chosen * loss.slope, -rejected * loss.slope);
}
