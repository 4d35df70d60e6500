/**
 * `webalign/rollouts`: training on completions that the policy generates. Rewards and judges, advantages, the source of
 * rollouts and the strategies that make examples of them; best-of-N.
 *
 * @module webalign/rollouts
 */

export { type AdvantageCase, advantagesOfCase } from './rollout/advantage-case.ts';
export {
  type AdvantageBatch,
  type AdvantageFunction,
  type AdvantageOptions,
  AGGREGATIONS,
  type Aggregation,
  advantages,
  type Baseline,
  type Scale,
} from './rollout/advantages.ts';
export { type BestCompletion, type BestOfNOptions, bestOfN } from './rollout/best-of-n.ts';
export { REWARDS, type RewardOptions } from './rollout/built-in-rewards.ts';
export { calm } from './rollout/calm.ts';
export { RewardEvaluation } from './rollout/evaluation.ts';
export type { Experience, ExperienceMaker, MakeOptions, OwnColumns } from './rollout/experience.ts';
export {
  type GaeOptions,
  generalizedAdvantages,
  tokenRewards,
  valueTargets,
  whitened,
} from './rollout/gae.ts';
export type { Judge, JudgedPair, JudgeOptions } from './rollout/judge.ts';
export { LABEL_RULES } from './rollout/labels.ts';
export { PolicyGradientExperience } from './rollout/policy-gradient.ts';
export { type PreparedPrompts, type PromptOptions, preparePrompts } from './rollout/prepare.ts';
export {
  type BatchReward,
  type Rated,
  type Rater,
  type RatingOptions,
  type Reward,
  type RewardBatch,
  rate,
  textOfCompletion,
  type WeighedReward,
  weighedRewards,
} from './rollout/rewards.ts';
export type { Prompt, Samples } from './rollout/sampling.ts';
export { type RatedWord, ratedWords, sentiment } from './rollout/sentiment.ts';
export { type RolloutSettings, RolloutSource } from './rollout/source.ts';
