/**
 * A strategy that decides which of a prompt's two completions is better. This file compares rewards, greedily or by
 * sampling; `judge.ts` asks a judge.
 */
import { mean } from '../base/mean.ts';
import type { TokenizedExample } from '../data/packing.ts';
import { Random } from '../data/random.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Json } from '../io/json.ts';
import type { Metrics } from '../train/events.ts';
import { rateSamples, rehearseRewards, rolloutMetrics } from './earnings.ts';
import type { MakeOptions } from './experience.ts';
import type { WeighedReward } from './rewards.ts';
import type { Samples } from './sampling.ts';

/** The index of the better completion, or −1 if undecided. */
export type Better = 0 | 1 | -1;

export const UNDECIDED = -1;

export interface PairLabels {
  /** One per prompt. */
  better: Better[];
  /** Per completion; null if it is unrated. */
  rewards: (number | null)[];
  metrics: Metrics;
}

export interface PairLabeler {
  /** Everything that determines the labels of given completions, as JSON: a part of the run's hash. */
  readonly identity: unknown;
  /** Throws `InputError` for a faulty reward or judge. */
  label(samples: Samples, options: MakeOptions): Promise<PairLabels>;
  /** Rehearses the rating of such completions on a counting device; may be omitted. */
  rehearse?(gpu: Gpu, examples: readonly TokenizedExample[]): void;
  /** State for a checkpoint; undefined if there is none. */
  save?(): Json | undefined;
  /** Restores the state. Throws `InputError` if `save` did not write it. */
  restore?(saved: Json): void;
}

/**
 * Rules that turn two rewards into a label, as data. `chance` is uniform in [0, 1). With `sampled`, labels follow the
 * Bradley–Terry model, so that a policy whose implicit reward is the reward has expected gradient 0 on every pair; with
 * `greedy`, no policy does.
 */
export const LABEL_RULES = {
  /** The first one if the rewards are equal, as in TRL. */
  greedy: (first: number, second: number): Better => (first >= second ? 0 : 1),
  sampled: (first: number, second: number, chance: number): Better =>
    chance < 1 / (1 + Math.exp(second - first)) ? 0 : 1,
} as const;

export interface RewardLabelSettings {
  labels: string;
  missingEosPenalty: number | null;
  rewardTimeout: number;
  seed: number;
}

export class RewardLabels implements PairLabeler {
  readonly identity: unknown;

  constructor(
    private readonly rewards: readonly WeighedReward[],
    private readonly settings: RewardLabelSettings,
  ) {
    this.identity = rewards.map(({ name, weight }) => [name, weight]);
  }

  rehearse(gpu: Gpu, examples: readonly TokenizedExample[]): void {
    rehearseRewards(gpu, examples, this.rewards);
  }

  async label(samples: Samples, options: MakeOptions): Promise<PairLabels> {
    const { labels, missingEosPenalty, rewardTimeout, seed } = this.settings;
    const rated = await rateSamples(samples, this.rewards, { ...options, rewardTimeout });
    const rewards = rated.rewards.map((reward, i) =>
      reward === null || samples.finished[i] === 'eos' ? reward : reward - (missingEosPenalty ?? 0),
    );
    const rule = LABEL_RULES[labels as keyof typeof LABEL_RULES];
    const random = new Random(seed, options.step);
    const better = samples.prompts.map((_, p): Better => {
      const [first, second] = rewards.slice(2 * p, 2 * p + 2) as [number | null, number | null];
      const chance = random.uniform();
      return first === null || second === null ? UNDECIDED : rule(first, second, chance);
    });
    const given = rewards.filter((reward) => reward !== null);
    const margins = better.flatMap((chosen, p) =>
      chosen === UNDECIDED ? [] : [rewards[2 * p + chosen]! - rewards[2 * p + 1 - chosen]!],
    );
    return {
      better,
      rewards,
      metrics: {
        ...rolloutMetrics(samples, { ...rated, rewards }, 2),
        ...(given.length > 0 ? { 'objective/scores': mean(given) } : {}),
        ...(margins.length > 0 ? { 'objective/scores_margin': mean(margins) } : {}),
      },
    };
  }
}
