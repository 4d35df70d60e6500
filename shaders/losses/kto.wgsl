// Kahneman-Tversky optimization (Ethayarajh et al. 2024, equation 8) on desirable and undesirable completions: desirable
// w_D (1 − σ(β (r − KL))), undesirable w_U (1 − σ(β (KL − r))).

#include "lib/labelled.wgsl"

struct Options {
  beta: f32,
  desirable_weight: f32,
  undesirable_weight: f32,
}

fn loss(example: Example, options: Options) -> ExampleResult {
  let side = select(-1.0, 1.0, example.desirable);
  let weight = select(options.undesirable_weight, options.desirable_weight, example.desirable);
  let z = side * options.beta * (example.completion.ratio - example.kl);
  return ExampleResult(weight * sigmoid(-z), -weight * side * options.beta * sigmoid_slope(z));
}
