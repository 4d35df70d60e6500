// Anchored preference optimization, down (D'Oosterlinck et al. 2024, equation 8), where the model is better than the chosen
// completions: with rewards c = β r₊ and d = β r₋  loss = σ(c) + σ(d − c),  dloss/dc = σ′(c) − σ′(d − c),
// dloss/dd = σ′(d − c).

#include "lib/pairwise.wgsl"

struct Options {
  beta: f32,
}

fn loss(pair: Pair, options: Options) -> PairResult {
  let chosen = options.beta * pair.chosen.ratio;
  let behind = options.beta * (pair.rejected.ratio - pair.chosen.ratio);
  let slope = sigmoid_slope(behind);
  let dchosen = options.beta * (sigmoid_slope(chosen) - slope);
  return PairResult(sigmoid(chosen) + sigmoid(behind), dchosen, options.beta * slope);
}
