/**
 * The default numbers of a run, and the settings derived from them.
 */

import type { LoraArgs } from 'webalign/models';
import type { RewardArgs, RLOOArgs } from 'webalign/trainers';
import { ALIGN_LORA } from '../../src/cli/align-task.ts';
import { COPIES } from '../shared/policy-run.ts';
import type { Settings } from './messages.ts';
import { CHOICES, PATIENCE } from './rewards.ts';

/** Number of held-out prompts. */
export const HELD_OUT = 6;
/** Maximum tokens of a completion. */
export const MOST_TOKENS = 40;
/** Number of prompts per step whose completions are shown. */
export const SHOWN = 4;

/** Number of evaluations of a run besides the initial one, and steps between two checkpoints. */
const EVALUATIONS = 4;
const SAVE_STEPS = 5;

export const DEFAULTS: Readonly<Settings> = {
  reward: 'sentiment',
  code: '',
  beta: CHOICES.sentiment.beta,
  learningRate: 2e-3,
  maxSteps: 100,
  numGenerations: 4,
  promptsPerStep: 8,
  r: ALIGN_LORA.r,
  seed: 42,
};

/** The trainer's settings. */
export function trainingArgs(settings: Settings): RLOOArgs {
  const { beta, learningRate, maxSteps, numGenerations, promptsPerStep, seed } = settings;
  return {
    beta,
    learningRate,
    maxSteps,
    numGenerations,
    seed,
    perDeviceTrainBatchSize: promptsPerStep * numGenerations,
    maxCompletionLength: MOST_TOKENS,
    numGenerationsEval: COPIES,
    evalSteps: Math.max(1, Math.ceil(maxSteps / EVALUATIONS)),
    saveSteps: SAVE_STEPS,
    warmupRatio: 0.1,
    lrSchedulerType: 'linear',
    rewardTimeout: PATIENCE,
  };
}

/** Minimum number of answers for learning. */
export const NEEDED = 8;

/** A reward model's settings: one pass over many pairs, several over the user's few. */
export function rewardArgs(pairs: number, seed: number): RewardArgs {
  const perDeviceTrainBatchSize = Math.min(16, pairs);
  const maxSteps = Math.max(20, Math.ceil(pairs / perDeviceTrainBatchSize));
  return {
    perDeviceTrainBatchSize,
    maxSteps,
    learningRate: 2e-3,
    warmupRatio: 0.1,
    lrSchedulerType: 'linear',
    centerRewardsCoefficient: 0.01,
    seed,
  };
}

/** The adapter's settings; its scale does not depend on the rank. */
export function loraConfig({ r }: Settings): LoraArgs {
  return { r, loraAlpha: (ALIGN_LORA.loraAlpha / ALIGN_LORA.r) * r };
}

/** For the reward model, which is smaller than the policy's adapter. */
export const REWARD_LORA: LoraArgs = { r: 8, loraAlpha: 16 };
