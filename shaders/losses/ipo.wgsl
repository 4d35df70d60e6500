// Identity preference optimization (Azar et al. 2024, equation 17): loss = (h − 1/(2β))²,  dloss/dh = 2 (h − 1/(2β)),
// with h = s₊/n₊ − s₋/n₋, means over the completions' tokens as its authors used them, or h = s₊ − s₋.

#include "lib/pairwise.wgsl"

struct Options {
  beta: f32,
  ipo_token_mean: f32, // 1: scores are means over tokens; 0: sums
}

fn loss(pair: Pair, options: Options) -> PairResult {
  let by_token = options.ipo_token_mean != 0.0;
  let chosen = select(1.0, 1.0 / tokens_of(pair.chosen), by_token);
  let rejected = select(1.0, 1.0 / tokens_of(pair.rejected), by_token);
  let off = pair.chosen.score * chosen - pair.rejected.score * rejected - 0.5 / options.beta;
  return of_scores(pair, off * off, 2.0 * off * chosen, -2.0 * off * rejected);
}
