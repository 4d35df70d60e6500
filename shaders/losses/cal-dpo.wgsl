// Calibrated DPO (Xiao et al. 2024, Cal-DPO), which also sets a target for each log-ratio:
// loss = −log σ(r₊ − r₋) + (r₊ − (1 − s)/β)² + (r₋ + s/β)²,
// dloss/dr₊ = −σ(r₋ − r₊) + 2 (r₊ − (1 − s)/β),  dloss/dr₋ = σ(r₋ − r₊) + 2 (r₋ + s/β). The paper has s = ½.

#include "lib/pairwise.wgsl"

struct Options {
  beta: f32,
  cal_dpo_shift: f32, // s
}

fn loss(pair: Pair, options: Options) -> PairResult {
  let contrast = logistic(pair.chosen.ratio - pair.rejected.ratio, 0.0);
  let chosen = pair.chosen.ratio - (1.0 - options.cal_dpo_shift) / options.beta;
  let rejected = pair.rejected.ratio + options.cal_dpo_shift / options.beta;
  let loss = contrast.value + chosen * chosen + rejected * rejected;
  return PairResult(loss, contrast.slope + 2.0 * chosen, 2.0 * rejected - contrast.slope);
}
