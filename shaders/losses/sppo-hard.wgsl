// Self-play preference optimization (Wu et al. 2024, equation 4.7) where the chosen completion always wins:
// loss = (r₊ − 1/(2β))² + (r₋ + 1/(2β))²,  dloss/dr± = 2 (r± ∓ 1/(2β)).

#include "lib/pairwise.wgsl"

struct Options {
  beta: f32,
}

fn loss(pair: Pair, options: Options) -> PairResult {
  let chosen = pair.chosen.ratio - 0.5 / options.beta;
  let rejected = pair.rejected.ratio + 0.5 / options.beta;
  return PairResult(chosen * chosen + rejected * rejected, 2.0 * chosen, 2.0 * rejected);
}
