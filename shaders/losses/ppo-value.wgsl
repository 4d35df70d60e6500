// PPO's clipped value loss for one state: 0.5 max((v − R)², (clip(v, v_old ± c) − R)²). If the clipped branch is the
// larger one, v has left the range in the direction of R, and its derivative is 0. Values replace log-probabilities here.

#include "lib/tokenwise.wgsl"

@group(0) @binding(8) var<storage, read> old_values: array<f32>; // (R): when the completions were sampled
@group(0) @binding(9) var<storage, read> returns: array<f32>; // (R): targets of the values

struct Options {
  beta: f32, // unused: the penalty is in the returns
  cliprange_value: f32,
}

fn summand(token: Token, options: Options) -> vec4f {
  return vec4f();
}

fn loss(token: Token, options: Options) -> TokenResult {
  let old = old_values[token.row];
  let aim = returns[token.row];
  let free = token.logp - aim;
  let held = clamp(token.logp, old - options.cliprange_value, old + options.cliprange_value) - aim;
  let clipped = held * held > free * free;
  notes = vec4f(select(0.0, 1.0, clipped), 0.0, 0.0, 0.0);
  return TokenResult(0.5 * max(free * free, held * held), select(free, 0.0, clipped));
}
