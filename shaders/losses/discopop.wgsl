// The log-ratio modulated loss that DiscoPOP discovered (Lu et al. 2024, equation 5): z = β (s₊ − s₋), m = σ(z/τ),
// loss = −(1 − m) log σ(z) + m e^−z,  dloss/dz = (m (1 − m) / τ) (e^−z + log σ(z)) − (1 − m) σ(−z) − m e^−z.
// m e^−z is computed as exp(log σ(z/τ) − z), because its factors overflow and underflow where the product is moderate.

#include "lib/pairwise.wgsl"

struct Options {
  beta: f32,
  discopop_tau: f32, // τ
}

fn loss(pair: Pair, options: Options) -> PairResult {
  let z = scaled(options.beta, score_margin(pair));
  let u = z / options.discopop_tau;
  let decay = precise_exp(log_sigmoid(u) - z);
  let rest = sigmoid(-u);
  let log_odds = log_sigmoid(z);
  let modulation = (rest * decay + sigmoid_slope(u) * log_odds) / options.discopop_tau;
  return of_margin(pair, decay - rest * log_odds, options.beta * (modulation - rest * sigmoid(-z) - decay));
}
