// Noise contrastive alignment on pairs (Chen et al. 2024): with rewards c = β r₊ and d = β r₋
// loss = −log σ(c) − ½ log σ(−c) − ½ log σ(−d),  dloss/dc = ½ σ(c) − σ(−c),  dloss/dd = ½ σ(d).

#include "lib/pairwise.wgsl"

struct Options {
  beta: f32,
}

fn loss(pair: Pair, options: Options) -> PairResult {
  let chosen = options.beta * pair.chosen.ratio;
  let rejected = options.beta * pair.rejected.ratio;
  let loss = -log_sigmoid(chosen) - 0.5 * log_sigmoid(-chosen) - 0.5 * log_sigmoid(-rejected);
  let dchosen = 0.5 * sigmoid(chosen) - sigmoid(-chosen);
  return PairResult(loss, options.beta * dchosen, options.beta * 0.5 * sigmoid(rejected));
}
