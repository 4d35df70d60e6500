// Supervised fine-tuning: token-mean cross-entropy of the completion.

#include "lib/labelled.wgsl"

struct Options {
  beta: f32, // scales only the logged rewards
}

fn loss(example: Example, options: Options) -> ExampleResult {
  return ExampleResult(nll(example.completion), -1.0 / mean_over(example.completion));
}
