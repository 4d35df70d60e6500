/**
 * Experience for policy gradients: every completion learns in proportion to its advantage. A group whose advantages are all
 * zero has no gradient.
 */
import type { ColumnSpecs } from '../data/packing.ts';
import type { StepContext } from '../train/step.ts';
import { advantages, type Baseline } from './advantages.ts';
import { earnings, rolloutMetrics } from './earnings.ts';
import type { Experience, ExperienceMaker, MakeOptions } from './experience.ts';
import type { WeighedReward } from './rewards.ts';
import type { Samples } from './sampling.ts';

export interface PolicyGradientSettings {
  numGenerations: number;
  temperature: number;
  beta: number;
  rewardClipRange: readonly number[] | null;
  normalizeAdvantages: boolean;
  rewardTimeout: number;
}

export class PolicyGradientExperience implements ExperienceMaker {
  readonly completions: number;
  readonly usesReference: boolean;
  readonly identity: unknown;

  constructor(
    readonly reads: ColumnSpecs,
    private readonly rewards: readonly WeighedReward[],
    private readonly baseline: Baseline,
    private readonly settings: PolicyGradientSettings,
  ) {
    this.completions = settings.numGenerations;
    this.usesReference = settings.beta > 0;
    this.identity = rewards.map(({ name, weight }) => [name, weight]);
  }

  async make(samples: Samples, context: StepContext, options: MakeOptions): Promise<Experience> {
    const { rewards, baseline, settings } = this;
    const { numGenerations, normalizeAdvantages: normalize } = settings;
    const earned = await earnings(context, samples, rewards, { ...settings, ...options });
    const values = advantages(earned.returns, { numGenerations, baseline, normalize });
    const examples = samples.examples.map((example, p) => {
      const own = p * numGenerations;
      const oldLogprobs = earned.oldLogprobs.slice(own, own + numGenerations).flatMap((rows) => [...rows]);
      return {
        ...example,
        columns: { advantage: [...values.subarray(own, own + numGenerations)], oldLogprobs },
      };
    });
    return {
      examples,
      silent: examples.map(({ columns }) => columns.advantage.every((value) => value === 0)),
      metrics: rolloutMetrics(samples, earned, numGenerations),
      rewards: earned.rewards,
      advantages: [...values],
      seconds: earned.seconds,
    };
  }
}
