// Token-mean cross-entropy of the chosen completion; the rejected one is ignored.

#include "lib/pairwise.wgsl"

struct Options {
  beta: f32, // scales only the logged rewards
}

fn loss(pair: Pair, options: Options) -> PairResult {
  return PairResult(nll(pair.chosen), -1.0 / mean_over(pair.chosen), 0.0);
}
