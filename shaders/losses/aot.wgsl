// Alignment via optimal transport on pairs (Melnyk et al. 2024): the margins of the policy l₊ − l₋ and those
// of the reference are each sorted over the batch, and δ is the difference at the same rank,
// loss = −(1 − ε) log σ(βδ) − ε log σ(−βδ). A pair's loss, and its derivative, is that of its policy margin's rank.

#include "lib/pairwise.wgsl"
#include "lib/ranks.wgsl"

struct Options {
  beta: f32,
  label_smoothing: f32,
}

fn loss(pair: Pair, options: Options) -> PairResult {
  let margin = sample(POLICY, pair.index);
  let delta = margin - value_at(REFERENCE, rank_of(POLICY, pair.index));
  let loss = logistic(options.beta * delta, options.label_smoothing);
  return PairResult(loss.value, options.beta * loss.slope, -options.beta * loss.slope);
}

const POLICY: u32 = 0;
const REFERENCE: u32 = 1;

fn sample(side: u32, index: u32) -> f32 {
  let pair = pair_of(index);
  return select(pair.chosen.reference - pair.rejected.reference, pair.chosen.logp - pair.rejected.logp, side == POLICY);
}
