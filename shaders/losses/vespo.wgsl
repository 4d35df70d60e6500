// VESPO (arXiv 2602.10693): −φ(W) A log π with the ratio W of the whole completion and φ = e^λ W^k e^−λW, which is 1 at W =
// 1 and has no gradient. The derivative is −φA.

#include "lib/group-relative.wgsl"

struct Options {
  beta: f32, // of the KL in the loss
  vespo_k_pos: f32, // for A ≥ 0
  vespo_lambda_pos: f32,
  vespo_k_neg: f32,
  vespo_lambda_neg: f32,
  importance_sampling_level: f32, // of the ratio in the KL term; 1: of the completion
  use_bias_correction_kl: f32, // 1: the KL term is multiplied by that ratio
  off_policy_mask_threshold: f32,
}

// log W is clamped between log 1e-8 and 20, as in TRL.
const LEAST_LOG: f32 = -18.420681;
const MOST_LOG: f32 = 20.0;

fn summand(token: Token, options: Options) -> vec4f {
  return group_sums(token, clamp(log_ratio(token), -20.0, 20.0));
}

fn loss(token: Token, options: Options) -> TokenResult {
  let level = options.importance_sampling_level;
  let ratio = ratio_of(token, level);
  let log_w = clamp(sums_of(token).own, LEAST_LOG, MOST_LOG);
  let is_good = advantage[token.row] >= 0.0;
  let k = select(options.vespo_k_neg, options.vespo_k_pos, is_good);
  let lambda = max(select(options.vespo_lambda_neg, options.vespo_lambda_pos, is_good), 1e-4);
  let phi = precise_exp(lambda + k * log_w - lambda * precise_exp(log_w));
  let slope = -phi * on_policy(token, advantage[token.row], options.off_policy_mask_threshold);
  notes = vec4f(phi, 0.0, 0.0, 0.0);
  note_weight = 1.0;
  let policy = Curve(slope * token.logp, slope);
  return with_kl(token, policy, ratio, options.beta, options.use_bias_correction_kl, level);
}
