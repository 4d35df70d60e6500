/**
 * Converts the trainer's events, under TRL's names, to updates for the page.
 */

import type { Gpu } from 'webalign';
import { ratedWords } from 'webalign/rollouts';
import type { Metrics, RolloutReport, RunState, StepEvent } from 'webalign/trainers';
import { Bundler } from '../shared/bundler.ts';
import { type Pace, paceOf } from '../shared/pace.ts';
import type { HeldOutPoint, Listener, Point, Rollout, Update } from './messages.ts';
import { SHOWN } from './task.ts';

export class Teller {
  private readonly bundler: Bundler<Update, { point: Point; pace: Pace }>;
  /** Tokens per second of the last batch. */
  private writingSpeed = 0;

  constructor(listener: Listener) {
    this.bundler = new Bundler<Update, { point: Point; pace: Pace }>(listener, (steps, last) => {
      return { type: 'steps', points: steps.map(({ point }) => point), pace: last.pace };
    });
  }

  tell(update: Update): void {
    this.bundler.tell(update);
  }

  rollout(rollout: Rollout, { completions, metrics, seconds }: RolloutReport): void {
    const { 'completions/mean_length': length = 0 } = metrics;
    this.writingSpeed = (completions.length * length) / Math.max(seconds.writing, 1e-3);
    this.tell({ type: 'rollout', rollout });
  }

  step(event: StepEvent, gpu: Gpu): void {
    const pace = { ...paceOf(event, gpu), tokensPerSecond: this.writingSpeed };
    this.bundler.add({ point: toPoint(event.step, event.metrics), pace });
  }
}

function toPoint(step: number, metrics: Metrics): Point {
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
export function historyOf(log: RunState['log'] = []): { train: Point[]; heldOut: HeldOutPoint[] } {
  const train = log.filter(({ type }) => type === 'step');
  const heldOut = log.filter(({ type }) => type === 'evaluate');
  return {
    train: train.map(({ step, metrics }) => toPoint(step, metrics)),
    heldOut: heldOut.map(({ step, metrics }) => toHeldOutPoint(step, metrics)),
  };
}

/** The completions of a step's first prompts. */
export function toRollout(
  step: number,
  { prompts, completions, rewards, advantages }: RolloutReport,
  marksWords: boolean,
): Rollout {
  const copies = completions.length / prompts.length;
  return {
    step,
    prompts: prompts.length,
    groups: prompts.slice(0, SHOWN).map((prompt, p) => ({
      prompt,
      completions: completions.slice(p * copies, (p + 1) * copies).map((text, i) => ({
        text,
        words: marksWords ? ratedWords(text) : [],
        reward: rewards[p * copies + i] ?? null,
        advantage: advantages[p * copies + i] ?? 0,
      })),
    })),
  };
}
