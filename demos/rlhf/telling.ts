/**
 * Converts the trainer's events, under TRL's names, to updates for the page.
 */

import type { Gpu } from 'webalign';
import { ratedWords } from 'webalign/rollouts';
import type { RolloutReport, StepEvent } from 'webalign/trainers';
import { Bundler } from '../shared/bundler.ts';
import { type Pace, paceOf } from '../shared/pace.ts';
import { type PolicyPoint, toPolicyPoint } from '../shared/policy-run.ts';
import type { Listener, Rollout, Update } from './messages.ts';
import { SHOWN } from './task.ts';

export class Teller {
  private readonly bundler: Bundler<Update, { point: PolicyPoint; pace: Pace }>;
  /** Tokens per second of the last batch. */
  private writingSpeed = 0;

  constructor(listener: Listener) {
    this.bundler = new Bundler<Update, { point: PolicyPoint; pace: Pace }>(listener, (steps, last) => {
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
    this.bundler.add({ point: toPolicyPoint(event.step, event.metrics), pace });
  }
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
