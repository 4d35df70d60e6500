/**
 * `webalign/theory`: the regularized objective, its optimal policy and the implicit reward (Theorem 1), exact on finite answer
 * sets; the same quantities estimated from samples, each with its standard error.
 *
 * @module webalign/theory
 */
export {
  type BestOfN,
  type Estimate,
  estimateBestOfN,
  estimateGap,
  estimateKl,
  estimateMean,
  estimateObjective,
  estimateOptimum,
  type GapEstimate,
  KL_ESTIMATORS,
  type KlEstimator,
  LEAST_EFFECTIVE_SAMPLES,
  type ObjectiveSamples,
  type OptimumEstimate,
} from './theory/estimators.ts';
export { type ImplicitRewardInputs, implicitReward } from './theory/implicit-reward.ts';
export { type ObjectiveInputs, type ObjectiveValue, objective } from './theory/objective.ts';
export { type OptimalPolicy, type OptimalPolicyInputs, optimalPolicy } from './theory/optimal-policy.ts';
export {
  estimateModelOptimum,
  estimatePolicy,
  type MonteCarloOptions,
  type PolicyEstimate,
  type RewardFunction,
} from './train/measures/monte-carlo.ts';
