/**
 * The figures of a policy that learns from rewards, under short names: in training, on held-out prompts, and the best possible
 * objective. Plain data, which a worker sends and a page draws.
 */
import type { Metrics, RunState } from 'webalign/trainers';

/** Means over a batch of the policy's completions. */
export interface PolicyPoint {
  step: number;
  reward: number;
  /** log π − log π_ref of the whole completion, in nats. */
  kl: number;
  /** J: reward minus β times the KL. */
  objective: number;
  /** By AFINN, if the reward is a model that learned from it. */
  trueReward?: number | undefined;
}

/** The same on held-out prompts, with the gap to the best policy. */
export interface HeldOutPoint extends PolicyPoint {
  /** β log Z − J, a lower bound. */
  gap: number;
  gapError: number;
  /** β log Z from these completions, a lower bound. */
  optimum: number;
  effectiveSamples: number;
}

/** β log Z, the J of the best policy at this β, from completions of the reference for the held-out prompts. */
export interface Optimum {
  /** A lower bound: biased downwards for few samples. */
  mean: number;
  standardError: number;
  /** Effective number of completions of the best policy per prompt. */
  effectiveSamples: number;
}

/** Completions of each held-out prompt: from so many on the trainer estimates the gap. */
export const COPIES = 64;
/** With fewer effective samples the gap and β log Z are lower bounds (`estimateGap`). */
export const LEAST_EFFECTIVE = 5;

export function toPolicyPoint(step: number, metrics: Metrics): PolicyPoint {
  const { reward = Number.NaN, 'kl/sequence': kl = Number.NaN, objective = Number.NaN } = metrics;
  const { 'rewards/learned/mean': learned, 'rewards/sentiment/mean': trueReward } = metrics;
  return { step, reward, kl, objective, ...(learned !== undefined && { trueReward }) };
}

export function toHeldOutPoint(step: number, metrics: Metrics): HeldOutPoint {
  const {
    eval_reward: reward = Number.NaN,
    'eval_kl/sequence': kl = Number.NaN,
    eval_objective: objective = Number.NaN,
    eval_optimality_gap: gap = Number.NaN,
    'eval_optimality_gap/standard_error': gapError = Number.NaN,
    eval_optimum: optimum = Number.NaN,
    eval_effective_samples: effectiveSamples = Number.NaN,
  } = metrics;
  return { step, reward, kl, objective, gap, gapError, optimum, effectiveSamples };
}

/** All points of a run, from its checkpoint. */
export function policyHistory(log: RunState['log'] = []): { train: PolicyPoint[]; heldOut: HeldOutPoint[] } {
  const train = log.filter(({ type }) => type === 'step');
  const heldOut = log.filter(({ type }) => type === 'evaluate');
  return {
    train: train.map(({ step, metrics }) => toPolicyPoint(step, metrics)),
    heldOut: heldOut.map(({ step, metrics }) => toHeldOutPoint(step, metrics)),
  };
}
