// CISPO (MiniMax-M1, arXiv 2506.13585): the ratio is a weight of −A log π, bounded above and without its own gradient. The
// derivative is −min(ρ, ε_high) A.

#include "lib/group-relative.wgsl"

struct Options {
  beta: f32, // of the KL in the loss
  epsilon_high: f32, // upper bound of the weight
  importance_sampling_level: f32, // 1: of the completion
  use_bias_correction_kl: f32, // 1: the KL term is multiplied by the ratio
  off_policy_mask_threshold: f32,
}

fn summand(token: Token, options: Options) -> vec4f {
  return group_sums(token, 0.0);
}

fn loss(token: Token, options: Options) -> TokenResult {
  let ratio = ratio_of(token, options.importance_sampling_level);
  let gain = on_policy(token, advantage[token.row], options.off_policy_mask_threshold);
  let slope = -min(ratio, options.epsilon_high) * gain;
  let clipped = select(0.0, 1.0, ratio > options.epsilon_high && advantage[token.row] > 0.0);
  notes = vec4f(clipped, 0.0, 0.0, 0.0);
  let policy = Curve(slope * token.logp, slope);
  let level = options.importance_sampling_level;
  return with_kl(token, policy, ratio, options.beta, options.use_bias_correction_kl, level);
}
