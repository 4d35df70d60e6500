// Odds ratio preference optimization (Hong et al. 2024, equations 6 and 7), without reference: with l̄ the mean of log π over
// tokens and o = (l̄₊ − log(1 − e^l̄₊)) − (l̄₋ − log(1 − e^l̄₋)) the logarithm of the odds ratio
// loss = −l₊/n₊ − β log σ(o),  dloss/do = −β σ(−o),  do/dl̄± = ±1 / (1 − e^l̄±). Notes: o and log σ(o).

#include "lib/pairwise.wgsl"

struct Options {
  beta: f32,
}

fn loss(pair: Pair, options: Options) -> PairResult {
  let chosen = mean_logp(pair.chosen);
  let rejected = mean_logp(pair.rejected);
  let odds = (chosen - rejected) - (log1mexp(chosen) - log1mexp(rejected));
  let ratio = log_sigmoid(odds);
  rewards = options.beta * vec2f(chosen, rejected);
  notes = vec2f(odds, ratio);
  let slope = options.beta * sigmoid(-odds);
  let dchosen = slope / (expm1(chosen) * tokens_of(pair.chosen));
  let drejected = -slope / (expm1(rejected) * tokens_of(pair.rejected));
  return PairResult(nll(pair.chosen) - options.beta * ratio, dchosen - 1.0 / mean_over(pair.chosen), drejected);
}

// A probability of 1, or slightly more by rounding, has infinite odds: it counts as the largest float32 below 1.
fn mean_logp(completion: Completion) -> f32 {
  return min(completion.logp / tokens_of(completion), -exp2(-24.0));
}

// log(1 − eˣ) for x < 0; split at −log 2, so that neither form cancels.
fn log1mexp(x: f32) -> f32 {
  if (x > -0.693147) {
    return log(-expm1(x));
  }
  return log1p_unit(-min(precise_exp(x), 0.5));
}
