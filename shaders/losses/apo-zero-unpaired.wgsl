// Anchored preference optimization, zero (D'Oosterlinck et al. 2024, equation 7), on desirable and undesirable completions:
// desirable w_D σ(−β r), undesirable w_U σ(β r), slopes ∓w β σ′(β r). The anchor is 0, while KTO estimates one.

#include "lib/labelled.wgsl"

struct Options {
  beta: f32,
  desirable_weight: f32,
  undesirable_weight: f32,
}

fn loss(example: Example, options: Options) -> ExampleResult {
  let side = select(-1.0, 1.0, example.desirable);
  let weight = select(options.undesirable_weight, options.desirable_weight, example.desirable);
  let z = options.beta * example.completion.ratio;
  return ExampleResult(weight * sigmoid(-side * z), -weight * side * options.beta * sigmoid_slope(z));
}
