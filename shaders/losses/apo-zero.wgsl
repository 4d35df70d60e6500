// Anchored preference optimization, zero (D'Oosterlinck et al. 2024, equation 7), where the chosen completions are better
// than the model: with rewards c = β r₊ and d = β r₋  loss = σ(−c) + σ(d),  dloss/dc = −σ′(c),  dloss/dd = σ′(d).

#include "lib/pairwise.wgsl"

struct Options {
  beta: f32,
}

fn loss(pair: Pair, options: Options) -> PairResult {
  let chosen = options.beta * pair.chosen.ratio;
  let rejected = options.beta * pair.rejected.ratio;
  let slopes = options.beta * vec2f(-sigmoid_slope(chosen), sigmoid_slope(rejected));
  return PairResult(sigmoid(-chosen) + sigmoid(rejected), slopes.x, slopes.y);
}
