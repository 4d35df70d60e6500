// SAPO (arXiv 2511.20347): a soft gate instead of the clip. −A σ(τ(ρ − 1)) 4/τ, with one temperature τ for positive and one
// for negative advantages; its derivative to log ρ is −4Aρ σ(1 − σ), −A at ρ = 1.

#include "lib/group-relative.wgsl"

struct Options {
  beta: f32, // of the KL in the loss
  sapo_temperature_pos: f32,
  sapo_temperature_neg: f32,
  importance_sampling_level: f32, // 1: of the completion
  use_bias_correction_kl: f32, // 1: the KL term is multiplied by the ratio
  off_policy_mask_threshold: f32,
}

fn summand(token: Token, options: Options) -> vec4f {
  return group_sums(token, 0.0);
}

fn loss(token: Token, options: Options) -> TokenResult {
  let level = options.importance_sampling_level;
  let ratio = ratio_of(token, level);
  let own = gated(ratio, on_policy(token, advantage[token.row], options.off_policy_mask_threshold), options);
  let sum = on_policy(token, sums_of(token).advantage, options.off_policy_mask_threshold);
  let whole = gated(ratio, sum, options);
  notes = vec4f();
  let policy = Curve(own.value, shared_slope(token, own.slope, whole.slope, level));
  return with_kl(token, policy, ratio, options.beta, options.use_bias_correction_kl, level);
}

fn gated(ratio: f32, gain: f32, options: Options) -> Curve {
  let temperature = select(options.sapo_temperature_neg, options.sapo_temperature_pos, gain > 0.0);
  let z = temperature * (ratio - 1.0);
  return Curve(-gain * sigmoid(z) * 4.0 / temperature, -4.0 * gain * ratio * sigmoid_slope(z));
}
