/**
 * The settings of trainers whose policy writes its own completions: how many, how long, how they are rated, and how often a
 * batch of them is learned from. Names and defaults are TRL's.
 */
import { boolean, choice, number, numbers, whole } from '../../base/setting.ts';

export const ROLLOUTS = {
  /** Strength of the pull to the reference: the KL penalty in the rewards. */
  beta: number({
    default: 0.05,
    range: { from: 0 },
    group: 'loss',
    trl: 'beta',
    help: 'strength of the pull to the reference: the KL penalty in the rewards',
  }),
  /** Completions of each prompt, which are compared with each other. */
  numGenerations: whole({
    default: 2,
    range: { from: 2, upTo: 2 ** 16, reason: 'each is compared with the others' },
    group: 'rollouts',
    trl: 'num_generations',
    help: 'completions of each prompt; --batch-size counts completions',
  }),
  /** Completions of each held-out prompt; from 64 on the gap to the optimum is estimated. */
  numGenerationsEval: whole({
    default: 8,
    range: { from: 1, upTo: 2 ** 16 },
    mayChange: true,
    group: 'rollouts',
    trl: 'num_generations_eval',
    help: 'completions of each held-out prompt; from 64 on the gap to the optimum is estimated',
  }),
  /** Most new tokens of a completion. */
  maxCompletionLength: whole({
    default: 512,
    range: { from: 1 },
    group: 'rollouts',
    trl: 'max_completion_length',
    // As TRL's PPO and OnlineDPO have it.
    aliases: ['response_length', 'max_new_tokens'],
    help: 'most new tokens of a completion',
  }),
  /** Divides the logits, where completions are sampled and where they are learned from. */
  temperature: number({
    default: 1,
    range: { from: 1e-3, upTo: 1e3 },
    group: 'rollouts',
    trl: 'temperature',
    help: 'divides the logits where completions are sampled and learned from',
  }),
  /** Micro-batches that a batch of completions serves; null for those of one optimizer step. */
  stepsPerGeneration: number({
    default: null,
    range: { from: 1 },
    group: 'rollouts',
    trl: 'steps_per_generation',
    help: 'batches that a batch of completions serves; those of one optimizer step by default',
  }),
  /** Passes over a batch of completions. */
  numIterations: whole({
    default: 1,
    range: { from: 1 },
    group: 'rollouts',
    trl: 'num_iterations',
    help: 'passes over a batch of completions',
  }),
  /** A weight for each reward; null weighs them alike. */
  rewardWeights: numbers({
    default: null,
    group: 'rollouts',
    trl: 'reward_weights',
    help: 'a weight for each reward',
  }),
  /** The upper bound of the ratio is 1 plus this; null for epsilon. */
  epsilonHigh: number({
    default: null,
    range: { from: 0 },
    group: 'loss',
    trl: 'epsilon_high',
    help: 'the upper bound of the ratio is 1 plus this; as epsilon by default',
  }),
  /** Seconds that a reward function may take for a batch. */
  rewardTimeout: number({
    default: 600,
    range: { above: 0, upTo: 1e6 },
    mayChange: true,
    group: 'rollouts',
    trl: null,
    help: 'seconds that a reward function may take for a batch',
  }),
};

/** What RLOO may do to rewards and advantages. */
export const RETURNS = {
  /** From, to: rewards are clipped to it before the penalty. */
  rewardClipRange: numbers({
    default: null,
    group: 'rollouts',
    trl: 'reward_clip_range',
    help: 'from, to: rewards are clipped to it before the penalty',
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
  /** Where the KL to the reference is: in the loss of each token, as TRL has it, or in the rewards, as RLOO has it. */
  klIn: choice(['loss', 'reward'], {
    default: 'loss',
    group: 'loss',
    trl: null,
    help: 'where the KL to the reference is: in the loss of each token (loss), or in the rewards (reward)',
  }),
  /** Whether ratios to the sampling policy are of tokens or of whole completions (GSPO). */
  importanceSamplingLevel: choice(['token', 'sequence'], {
    default: 'token',
    group: 'loss',
    trl: 'importance_sampling_level',
    help: 'ratios to the sampling policy are of tokens, or of whole completions (GSPO)',
  }),
  /** Whether the KL term of a token is multiplied by its ratio. */
  useBiasCorrectionKl: boolean({
    default: true,
    off: 'do not multiply the KL term of a token by its ratio',
    group: 'loss',
    trl: 'use_bias_correction_kl',
    help: 'multiply the KL term of a token by its ratio',
  }),
  /** A further bound of the ratio, for tokens with an advantage below 0; null for none. */
  delta: number({
    default: null,
    range: { above: 0 },
    group: 'loss',
    trl: 'delta',
    help: 'a further bound of the ratio, which should be above 1 plus epsilon-high',
  }),
  /** Bad completions whose mean log π_old/π is above this have no policy term; null keeps all. */
  offPolicyMaskThreshold: number({
    default: null,
    range: {},
    group: 'loss',
    trl: 'off_policy_mask_threshold',
    help: 'leaves out completions with an advantage below 0 whose mean log-ratio of old to new is above this',
  }),
  /** What advantages are divided by: the standard deviation of their group, of the batch, or nothing (Dr. GRPO). */
  scaleRewards: choice(['group', 'batch', 'none'], {
    default: 'group',
    group: 'rollouts',
    trl: 'scale_rewards',
    help: 'divide advantages by the standard deviation of their group, of the batch, or not (none)',
  }),
  /** How several rewards become one: added up and normalized, or each normalized in its group first (GDPO). */
  multiObjectiveAggregation: choice(['sum_then_normalize', 'normalize_then_sum'], {
    default: 'sum_then_normalize',
    group: 'rollouts',
    trl: 'multi_objective_aggregation',
    help: 'add rewards up and normalize (sum_then_normalize), or normalize each first (normalize_then_sum, GDPO)',
  }),
  /** Whether completions that were cut at their full length are left out of the loss. */
  maskTruncatedCompletions: boolean({
    default: false,
    group: 'rollouts',
    trl: 'mask_truncated_completions',
    help: 'leave completions that were cut at their full length out of the loss',
  }),
  /** The share of a batch's tokens, those of the largest entropy, that have a policy term. */
  topEntropyQuantile: number({
    default: 1,
    range: { above: 0, upTo: 1 },
    group: 'rollouts',
    trl: 'top_entropy_quantile',
    help: 'share of the tokens, those of the largest entropy, that the policy learns from',
  }),
};

/** What an unfinished completion costs. */
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
