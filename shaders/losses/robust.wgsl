// Robust DPO (Chowdhury et al. 2024), an unbiased loss if a fraction ε of the labels is flipped:
// z = β (s₊ − s₋),  loss = [−(1 − ε) log σ(z) + ε log σ(−z)] / (1 − 2ε) = −log σ(z) − ε z / (1 − 2ε),
// dloss/dz = −σ(−z) − ε / (1 − 2ε). The second form has no cancellation as ε approaches 1/2.

#include "lib/pairwise.wgsl"

struct Options {
  beta: f32,
  label_smoothing: f32,
}

fn loss(pair: Pair, options: Options) -> PairResult {
  let z = scaled(options.beta, score_margin(pair));
  let tilt = options.label_smoothing / (1.0 - 2.0 * options.label_smoothing);
  return of_margin(pair, -log_sigmoid(z) - tilt * z, -options.beta * (sigmoid(-z) + tilt));
}
