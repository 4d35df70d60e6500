// Alignment via optimal transport on unpaired completions (Melnyk et al. 2024): the log-ratios of the chosen
// and of the rejected completions are each sorted over the batch, and δ is the difference r₊ − r₋ at the same rank,
// loss = −(1 − ε) log σ(βδ) − ε log σ(−βδ). A pair's loss is that of its chosen completion's rank; the derivative to its
// rejected one is that of the loss at the rejected one's own rank, which usually belongs to another pair.

#include "lib/pairwise.wgsl"
#include "lib/ranks.wgsl"

struct Options {
  beta: f32,
  label_smoothing: f32,
}

fn loss(pair: Pair, options: Options) -> PairResult {
  let rejected = value_at(REJECTED, rank_of(CHOSEN, pair.index));
  let chosen = value_at(CHOSEN, rank_of(REJECTED, pair.index));
  let loss = logistic(options.beta * (pair.chosen.ratio - rejected), options.label_smoothing);
  let other = logistic(options.beta * (chosen - pair.rejected.ratio), options.label_smoothing);
  return PairResult(loss.value, options.beta * loss.slope, -options.beta * other.slope);
}

const CHOSEN: u32 = 0;
const REJECTED: u32 = 1;

fn sample(side: u32, index: u32) -> f32 {
  return completion_of(2u * index + side).ratio;
}
