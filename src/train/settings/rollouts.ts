/**
 * The settings of trainers that sample completions from the policy: how many, how long, their rewards, and how often a
 * batch is used. Names and defaults are TRL's.
 */
import { boolean, choice, number, numbers, whole } from '../../base/setting.ts';

export const ROLLOUTS = {
  /** How strongly the policy is pulled to the reference: the KL penalty in the rewards. */
  beta: number({
    default: 0.05,
    range: { from: 0 },
    group: 'loss',
    trl: 'beta',
    help: 'how strongly the policy is pulled to the reference: the KL penalty in the rewards',
  }),
  /** Completions per prompt, which are compared with each other. */
  numGenerations: whole({
    default: 2,
    range: { from: 2, upTo: 2 ** 16, reason: 'each is compared with the others' },
    group: 'rollouts',
    trl: 'num_generations',
    help: 'completions per prompt; --batch-size counts completions',
  }),
  /** Completions per held-out prompt; from 64 on the gap to the optimum is estimated. */
  numGenerationsEval: whole({
    default: 8,
    range: { from: 1, upTo: 2 ** 16 },
    mayChange: true,
    group: 'rollouts',
    trl: 'num_generations_eval',
    help: 'completions per held-out prompt; with at least 64 the gap to the optimum is estimated',
  }),
  /** Maximum new tokens of a completion. */
  maxCompletionLength: whole({
    default: 512,
    range: { from: 1 },
    group: 'rollouts',
    trl: 'max_completion_length',
    // As in TRL's PPO and OnlineDPO.
    aliases: ['response_length', 'max_new_tokens'],
    help: 'maximum new tokens of a completion',
  }),
  /** Divides the logits, both for sampling and for learning. */
  temperature: number({
    default: 1,
    range: { from: 1e-3, upTo: 1e3 },
    group: 'rollouts',
    trl: 'temperature',
    help: 'divides the logits, for sampling and for learning',
  }),
  /** Micro-batches for which a batch of completions is used; null: those of one optimizer step. */
  stepsPerGeneration: number({
    default: null,
    range: { from: 1 },
    group: 'rollouts',
    trl: 'steps_per_generation',
    help: 'number of batches for which a batch of completions is used; default: those of one optimizer step',
  }),
  /** Passes over a batch of completions. */
  numIterations: whole({
    default: 1,
    range: { from: 1 },
    group: 'rollouts',
    trl: 'num_iterations',
    help: 'passes over a batch of completions',
  }),
  /** One weight per reward; null means equal weights. */
  rewardWeights: numbers({
    default: null,
    group: 'rollouts',
    trl: 'reward_weights',
    help: 'one weight per reward',
  }),
  /** The upper bound of the ratio is 1 plus this; null for epsilon. */
  epsilonHigh: number({
    default: null,
    range: { from: 0 },
    group: 'loss',
    trl: 'epsilon_high',
    help: 'the upper bound of the ratio is 1 plus this; default: epsilon',
  }),
  /** Time limit for a reward function per batch, in seconds. */
  rewardTimeout: number({
    default: 600,
    range: { above: 0, upTo: 1e6 },
    mayChange: true,
    group: 'rollouts',
    trl: null,
    help: 'time limit for a reward function per batch, in seconds',
  }),
};

/** RLOO's changes to rewards and advantages. */
export const RETURNS = {
  /** Lower and upper bound for rewards, before the penalty. */
  rewardClipRange: numbers({
    default: null,
    group: 'rollouts',
    trl: 'reward_clip_range',
    help: 'lower and upper bound for rewards, before the penalty',
  }),
  /** Whether advantages are standardized over the batch of completions. */
  normalizeAdvantages: boolean({
    default: false,
    group: 'rollouts',
    trl: 'normalize_advantages',
    help: 'standardize advantages over the batch of completions',
  }),
};

/** The settings of group-relative policy optimization. */
export const GROUP_RELATIVE = {
  /** Where the KL to the reference is: in the loss of each token, as in TRL, or in the rewards, as in RLOO. */
  klIn: choice(['loss', 'reward'], {
    default: 'loss',
    group: 'loss',
    trl: null,
    help: 'add the KL to the loss of each token (loss), or to the rewards (reward)',
  }),
  /** Whether ratios to the sampling policy are per token or per completion (GSPO). */
  importanceSamplingLevel: choice(['token', 'sequence'], {
    default: 'token',
    group: 'loss',
    trl: 'importance_sampling_level',
    help: 'ratios to the sampling policy per token, or per completion (GSPO)',
  }),
  /** Whether the KL term of a token is multiplied by its ratio. */
  useBiasCorrectionKl: boolean({
    default: true,
    off: 'do not multiply the KL term of a token by its ratio',
    group: 'loss',
    trl: 'use_bias_correction_kl',
    help: 'multiply the KL term of a token by its ratio',
  }),
  /** An additional bound of the ratio, for tokens with an advantage below 0; null for no bound. */
  delta: number({
    default: null,
    range: { above: 0 },
    group: 'loss',
    trl: 'delta',
    help: 'an additional upper bound of the ratio, which should be above 1 plus epsilon-high',
  }),
  /** Bad completions whose mean log π_old/π exceeds this have no policy term; null keeps all. */
  offPolicyMaskThreshold: number({
    default: null,
    range: {},
    group: 'loss',
    trl: 'off_policy_mask_threshold',
    help: 'mask completions with a negative advantage if their mean log-ratio of old to new policy exceeds this',
  }),
  /** The divisor of advantages: the standard deviation of their group, of the batch, or none (Dr. GRPO). */
  scaleRewards: choice(['group', 'batch', 'none'], {
    default: 'group',
    group: 'rollouts',
    trl: 'scale_rewards',
    help: 'divide advantages by the standard deviation of their group, of the batch, or not (none)',
  }),
  /** How several rewards are combined: added up and normalized, or each normalized within its group first (GDPO). */
  multiObjectiveAggregation: choice(['sum_then_normalize', 'normalize_then_sum'], {
    default: 'sum_then_normalize',
    group: 'rollouts',
    trl: 'multi_objective_aggregation',
    help: 'add rewards up and normalize (sum_then_normalize), or normalize each first (normalize_then_sum, GDPO)',
  }),
  /** Whether truncated completions are excluded from the loss. */
  maskTruncatedCompletions: boolean({
    default: false,
    group: 'rollouts',
    trl: 'mask_truncated_completions',
    help: 'exclude truncated completions from the loss',
  }),
  /** The share of a batch's tokens, those with the highest entropy, that have a policy term. */
  topEntropyQuantile: number({
    default: 1,
    range: { above: 0, upTo: 1 },
    group: 'rollouts',
    trl: 'top_entropy_quantile',
    help: 'share of tokens with the highest entropy that the policy learns from',
  }),
};

/** The penalty for a completion without an end token. */
export const ENDING = {
  /** Subtracted from the reward of a completion without an end token; null subtracts nothing. */
  missingEosPenalty: number({
    default: null,
    range: { above: 0 },
    group: 'rollouts',
    trl: 'missing_eos_penalty',
    help: 'subtracted from the reward of a completion without an end token',
  }),
};
