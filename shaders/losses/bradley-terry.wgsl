// Reward models (Bradley and Terry 1952; Christiano et al. 2017): r is the score of a completion, m the margin by which the
// chosen one should win (Touvron et al. 2023), and c pulls the rewards of a pair to a sum of 0 (Eisenstein et al. 2023):
// loss = −log σ(r₊ − r₋ − m) + c (r₊ + r₋)²,  r = β s.

#include "lib/pairwise.wgsl"

@group(0) @binding(8) var<storage, read> margin: array<f32>; // (pairs)

struct Options {
  beta: f32,
  center_rewards_coefficient: f32,
}

fn loss(pair: Pair, options: Options) -> PairResult {
  let total = rewards.x + rewards.y;
  notes.x = 0.5 * total;
  let comparison = logistic(rewards.x - rewards.y - margin[pair.index], 0.0);
  let c = options.center_rewards_coefficient;
  let pull = 2.0 * c * total;
  return of_scores(
    pair,
    comparison.value + c * total * total,
    options.beta * (comparison.slope + pull),
    options.beta * (pull - comparison.slope),
  );
}
