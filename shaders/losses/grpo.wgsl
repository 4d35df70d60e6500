// Clipped ratios (GRPO, Shao et al. 2024, equation 3), of tokens or of whole completions (GSPO, arXiv 2507.18071).
// With other divisors of the sum over tokens it becomes BNPO, Dr. GRPO, DAPO and LUSPO.

#include "lib/group-relative.wgsl"

struct Options {
  beta: f32, // of the KL in the loss
  epsilon: f32,
  epsilon_high: f32,
  delta: f32, // upper bound of an unclipped ratio
  importance_sampling_level: f32, // 1: of the completion
  use_bias_correction_kl: f32, // 1: the KL term is multiplied by the ratio
  off_policy_mask_threshold: f32,
  max_completion_length: f32, // the driver's divisor, if that is constant
}

fn summand(token: Token, options: Options) -> vec4f {
  return group_sums(token, 0.0);
}

fn loss(token: Token, options: Options) -> TokenResult {
  let level = options.importance_sampling_level;
  let ratio = ratio_of(token, level);
  let own = surrogate(ratio, on_policy(token, advantage[token.row], options.off_policy_mask_threshold), options);
  let sum = on_policy(token, sums_of(token).advantage, options.off_policy_mask_threshold);
  let whole = surrogate(ratio, sum, options);
  let bounded = min(ratio, options.delta);
  let low = select(0.0, 1.0, bounded < 1.0 - options.epsilon && advantage[token.row] < 0.0);
  let high = select(0.0, 1.0, bounded > 1.0 + options.epsilon_high && advantage[token.row] > 0.0);
  notes = vec4f(low, high, 0.0, low + high);
  let policy = Curve(own.value, shared_slope(token, own.slope, whole.slope, level));
  return with_kl(token, policy, ratio, options.beta, options.use_bias_correction_kl, level);
}

fn surrogate(ratio: f32, gain: f32, options: Options) -> Curve {
  return two_sided_surrogate(ratio, gain, options.epsilon, options.epsilon_high, options.delta);
}
