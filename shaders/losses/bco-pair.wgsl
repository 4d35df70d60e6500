// Binary classifier optimization on pairs (Jung et al. 2024), without the shift of rewards: with rewards
// c = β r₊ and d = β r₋  loss = −log σ(c) − log σ(−d),  dloss/dc = −σ(−c),  dloss/dd = σ(d).

#include "lib/pairwise.wgsl"

struct Options {
  beta: f32,
}

fn loss(pair: Pair, options: Options) -> PairResult {
  let chosen = options.beta * pair.chosen.ratio;
  let rejected = options.beta * pair.rejected.ratio;
  let loss = -log_sigmoid(chosen) - log_sigmoid(-rejected);
  return PairResult(loss, -options.beta * sigmoid(-chosen), options.beta * sigmoid(rejected));
}
