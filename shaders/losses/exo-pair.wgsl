// Efficient exact optimization on pairs (Ji et al. 2024, equation 16), the reverse KL to labels smoothed by ε > 0:
// z = β (s₊ − s₋),  loss = σ(z) (log σ(z) − log(1 − ε)) + σ(−z) (log σ(−z) − log ε),
// dloss/dz = σ(z) σ(−z) (z − log(1 − ε) + log ε).

#include "lib/pairwise.wgsl"

struct Options {
  beta: f32,
  label_smoothing: f32,
}

fn loss(pair: Pair, options: Options) -> PairResult {
  let z = scaled(options.beta, score_margin(pair));
  let straight = log1p_unit(-options.label_smoothing);
  let flipped = log(options.label_smoothing);
  let loss = sigmoid(z) * (log_sigmoid(z) - straight) + sigmoid(-z) * (log_sigmoid(-z) - flipped);
  return of_margin(pair, loss, options.beta * sigmoid_slope(z) * (z - straight + flipped));
}
