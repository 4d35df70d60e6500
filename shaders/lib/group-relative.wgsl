// Shared by the losses of group-relative policy optimization: token or sequence ratios, the KL to the reference in the loss, and the
// mask of off-policy sequences. A loss file includes this file instead of the driver.
//
// With ρ = π/π_old of a token, or s = exp(mean of log ρ) of its completion, a token's loss is f(ρ or s, A) + β c k3, where
// k3 = e^−k1 − 1 + k1, k1 = log π/π_ref, and c is the same ratio or 1. There is an advantage for every token; it is 0 if the
// token has no part in f.

#include "lib/policy.wgsl"

struct Sums {
  log_ratio: f32,
  advantage: f32,
  k3: f32,
  own: f32, // the formula's
}

// The summands of the sums over a completion.
fn group_sums(token: Token, own: f32) -> vec4f {
  return vec4f(log_ratio(token), advantage[token.row], k3(token), own);
}

fn sums_of(token: Token) -> Sums {
  return Sums(token.sums.x, token.sums.y, token.sums.z, token.sums.w);
}

// k3 of a token (Schulman 2020).
fn k3(token: Token) -> f32 {
  let k1 = token.logp - token.reference;
  return expm1(-k1) + k1;
}

// ρ, or s at sequence level. Notes are then means over completions.
fn ratio_of(token: Token, sequence_level: f32) -> f32 {
  note_weight = select(token.tokens, 1.0, sequence_level == 1.0);
  return precise_exp(select(log_ratio(token), sums_of(token).log_ratio / token.tokens, sequence_level == 1.0));
}

// `gain`, or 0 if it is negative and the completion has become less likely than `most` allows (DeepSeek-V3.2): mean of
// log π_old/π above it.
fn on_policy(token: Token, gain: f32, most: f32) -> f32 {
  let drift = -sums_of(token).log_ratio / token.tokens;
  return select(gain, 0.0, gain < 0.0 && drift > most);
}

// A completion's ratio depends on all of its tokens, so each token gets its share of the completion's derivative. `whole` is the
// derivative of f(s, ΣA) to log s, because f is proportional to |A|.
fn shared_slope(token: Token, own: f32, whole: f32, sequence_level: f32) -> f32 {
  return select(own, whole / token.tokens, sequence_level == 1.0);
}

// Adds β c k3 to a token's loss, with its derivative, and notes c k3 third. With c = ρ the derivative is ρ k1, the gradient
// of k1²/2.
fn with_kl(token: Token, policy: Curve, ratio: f32, beta: f32, corrected: f32, sequence_level: f32) -> TokenResult {
  if (beta == 0.0) {
    return TokenResult(policy.value, policy.slope);
  }
  let k1 = token.logp - token.reference;
  let plain = -expm1(-k1);
  let mean_k3 = sums_of(token).k3 / token.tokens;
  let weighed = ratio * select(k1, plain + mean_k3, sequence_level == 1.0);
  let weight = select(1.0, ratio, corrected == 1.0);
  let slope = select(plain, weighed, corrected == 1.0);
  notes.z = weight * k3(token);
  return TokenResult(policy.value + beta * notes.z, policy.slope + beta * slope);
}
