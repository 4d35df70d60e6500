// Direct preference optimisation (Rafailov et al. 2023, equation 7) with the label smoothing of cDPO (Mitchell 2023):
// z = β (r₊ − r₋),  loss = −(1 − ε) log σ(z) − ε log σ(−z),  dloss/dz = ε σ(z) − (1 − ε) σ(−z).

#include "lib/pairwise.wgsl"

struct Params {
  pairs: u32,
  scale: f32,
  beta: f32,
  label_smoothing: f32,
}

fn objective(pair: Pair) -> PairResult {
  let z = params.beta * log_ratio(pair);
  let flipped = params.label_smoothing;
  let loss = -(1.0 - flipped) * log_sigmoid(z) - flipped * log_sigmoid(-z);
  let slope = params.beta * (flipped * sigmoid(z) - (1.0 - flipped) * sigmoid(-z));
  return PairResult(loss, slope, -slope);
}
