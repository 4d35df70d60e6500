/** Defaults of a run against the reward model, from how many prompts there are and how much its scores differ. */
import type { Settings } from '../messages.ts';

/** KL in nats that the best policy at the default β has, for scores with a normal distribution. */
const DISTANCE = 2;
/** Without a reward model there is no scale. */
const NO_SCALE = 0.1;
const BETA = { least: 0.01, most: 10 };
/** Steps of a run: each prompt is written to so often, within these bounds. */
const PASSES = 10;
const STEPS = { least: 20, most: 100 };
/** Prompts of a step. */
const MOST_PROMPTS = 8;
/** Evaluations of a run: each writes as much as some ten steps. */
const EVALUATIONS = 4;
/** Steps between two checkpoints at most. */
const MOST_UNSAVED = 5;

/** What every method's settings hold of rollouts; only a run on rollouts reads them. */
export const ROLLOUTS = { maxSteps: STEPS.least, numGenerations: 4 } as const;

/**
 * β at which the best policy is about {@link DISTANCE} nats away: for scores with a normal distribution of standard deviation s, π*
 * has KL s² / 2β² from the model before.
 */
export function betaFor(spread = 0): number {
  if (!(spread > 0)) return NO_SCALE;
  const beta = spread / Math.sqrt(2 * DISTANCE);
  return Number(Math.min(BETA.most, Math.max(BETA.least, beta)).toPrecision(2));
}

/** Steps, batch and evaluations for so many prompts. */
export function policyLength(
  prompts: number,
): Pick<Settings, 'maxSteps' | 'perDeviceTrainBatchSize' | 'evalSteps'> {
  const perDeviceTrainBatchSize = Math.min(MOST_PROMPTS, Math.max(1, prompts));
  const steps = Math.ceil((PASSES * prompts) / perDeviceTrainBatchSize);
  const maxSteps = Math.min(STEPS.most, Math.max(STEPS.least, steps));
  return { perDeviceTrainBatchSize, maxSteps, evalSteps: policyEvalSteps(maxSteps) };
}

/** Steps between two evaluations of a run of so many steps. */
export const policyEvalSteps = (steps: number): number => Math.max(1, Math.ceil(steps / EVALUATIONS));

/** Steps between two checkpoints: a divisor, so that there is one at each evaluation. */
export function saveStepsFor(evalSteps: number): number {
  for (let steps = Math.min(MOST_UNSAVED, evalSteps); steps > 1; steps--)
    if (evalSteps % steps === 0) return steps;
  return 1;
}
