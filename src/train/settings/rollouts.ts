/**
 * The settings of trainers whose policy writes its own completions: how many, how long, how they are rated, and how often a
 * batch of them is learned from. Names and defaults are TRL's.
 */
import { boolean, number, numbers, whole } from '../../base/setting.ts';

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
    range: { from: 2, reason: 'each is compared with the others' },
    group: 'rollouts',
    trl: 'num_generations',
    help: 'completions of each prompt; --batch-size counts completions',
  }),
  /** Completions of each held-out prompt; from 64 on the gap to the optimum is estimated. */
  numGenerationsEval: whole({
    default: 8,
    range: { from: 1 },
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
    // As TRL's OnlineDPO has it.
    aliases: ['max_new_tokens'],
    help: 'most new tokens of a completion',
  }),
  /** Divides the logits, where completions are sampled and where they are learned from. */
  temperature: number({
    default: 1,
    range: { above: 0 },
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
    range: { above: 0 },
    group: 'rollouts',
    trl: null,
    help: 'seconds that a reward function may take for a batch',
  }),
};
