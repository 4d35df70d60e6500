/** What a run against the reward model would do, in a sentence. */
import { counted } from '../../../src/base/counted.ts';

export const NO_REWARD = 'There is no reward model yet. Press “Fit a reward model” below first.';

interface Ahead {
  /** Prompts of the judgments, to learn on and held out. */
  prompts: number;
  heldOut: number;
  steps: number;
  /** Prompts of a step, and drafts of each. */
  batch: number;
  generations: number;
  hasReward: boolean;
  /** Whether its person has set β. */
  isOwnBeta: boolean;
}

export function policyPlanOf(run: Ahead): string {
  const { prompts, heldOut, steps, batch, generations, hasReward, isOwnBeta } = run;
  if (!hasReward) return NO_REWARD;
  const rows = `${counted(prompts, 'prompt')} to write to, ${heldOut} held out to measure on`;
  const isWhole = [steps, batch, generations].every(Number.isFinite);
  const ahead =
    isWhole && prompts > 0
      ? `: ${counted(steps, 'step')} of ${counted(Math.min(batch, prompts), 'prompt')} with ${counted(generations, 'draft')} each`
      : '';
  const beta = isOwnBeta
    ? ''
    : ' β suits the reward model: the best policy is about 2 nats from the model before.';
  return `${rows}${ahead}.${beta}`;
}
