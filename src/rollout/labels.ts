/**
 * Which of a prompt's two completions is the better one: a strategy. By their rewards, greedily or by lot, here; by a judge in
 * `judge.ts`.
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

/** The index of the better completion, or −1 where it is undecided. */
export type Better = 0 | 1 | -1;

export const UNDECIDED = -1;

export interface PairLabels {
  /** For each prompt. */
  better: Better[];
  /** Per completion; null where nothing rated it. */
  rewards: (number | null)[];
  metrics: Metrics;
}

export interface PairLabeler {
  /** All that decides the labels of the same completions, as JSON: a part of the run's hash. */
  readonly identity: unknown;
  /** Throws `InputError` where a reward or a judge is at fault. */
  label(samples: Samples, options: MakeOptions): Promise<PairLabels>;
  /** The rating of such completions on a device that only counts; nothing where it is left out. */
  rehearse?(gpu: Gpu, examples: readonly TokenizedExample[]): void;
  /** What a checkpoint keeps of it; undefined for nothing. */
  save?(): Json | undefined;
  /** Takes it back. Throws `InputError` for what it has not written. */
  restore?(saved: Json): void;
}

/**
 * How two rewards become a label, as data. `chance` is uniform in [0, 1). With `sampled` the labels are those of Bradley and
 * Terry, so that a policy whose implicit reward is the reward has expected gradient 0 on every pair; with `greedy` no policy has.
 */
export const LABEL_RULES = {
  /** The first one where they are equal, as in TRL. */
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
      chosen === UNDECIDED
        ? []
        : [(rewards[2 * p + chosen] as number) - (rewards[2 * p + 1 - chosen] as number)],
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
