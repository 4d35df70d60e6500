// GMPO (arXiv 2507.20673): the geometric mean of the tokens' ratios, each clipped on one side in its logarithm:
// from above if A > 0, else from below. −A times that mean for the completion; every unclipped token gets an
// equal share of the derivative.

#include "lib/group-relative.wgsl"

struct Options {
  beta: f32, // of the KL in the loss
  epsilon: f32, // of log ρ
  epsilon_high: f32,
}

// Tokens with advantage 0 are not part of the mean.
fn summand(token: Token, options: Options) -> vec4f {
  let part = select(1.0, 0.0, advantage[token.row] == 0.0);
  return vec4f(part * clipped_log_ratio(token, options), part, 0.0, 0.0);
}

fn loss(token: Token, options: Options) -> TokenResult {
  note_weight = token.tokens;
  let count = max(token.sums.y, 1.0);
  // The driver divides by the completion's tokens.
  let value = -precise_exp(token.sums.x / count) * advantage[token.row] * token.tokens / count;
  let own = log_ratio(token);
  let low = select(0.0, 1.0, own < -options.epsilon && advantage[token.row] < 0.0);
  let high = select(0.0, 1.0, own > options.epsilon_high && advantage[token.row] > 0.0);
  notes = vec4f(low, high, 0.0, low + high);
  let policy = Curve(value, select(0.0, value, own == clipped_log_ratio(token, options)));
  return with_kl(token, policy, 1.0, options.beta, 0.0, 0.0);
}

fn clipped_log_ratio(token: Token, options: Options) -> f32 {
  let own = log_ratio(token);
  return select(max(own, -options.epsilon), min(own, options.epsilon_high), advantage[token.row] > 0.0);
}
