// Direct preference optimization (Rafailov et al. 2023, equation 7) with the label smoothing of cDPO (Mitchell 2023):
// z = β (s₊ − s₋),  loss = −(1 − ε) log σ(z) − ε log σ(−z),  dloss/dz = ε σ(z) − (1 − ε) σ(−z).

#include "lib/pairwise.wgsl"

struct Options {
  beta: f32,
  label_smoothing: f32,
}

fn loss(pair: Pair, options: Options) -> PairResult {
  let loss = logistic(scaled(options.beta, score_margin(pair)), options.label_smoothing);
  return of_margin(pair, loss.value, options.beta * loss.slope);
}
