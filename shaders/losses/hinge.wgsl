// The hinge loss of SLiC-HF (Zhao et al. 2023) on DPO's margin, as in RSO (Liu et al. 2024):
// z = β (s₊ − s₋),  loss = max(0, 1 − z),  dloss/dz = −1 if z < 1, else 0.

#include "lib/pairwise.wgsl"

struct Options {
  beta: f32,
}

fn loss(pair: Pair, options: Options) -> PairResult {
  let z = scaled(options.beta, score_margin(pair));
  return of_margin(pair, max(0.0, 1.0 - z), select(0.0, -options.beta, z < 1.0));
}
