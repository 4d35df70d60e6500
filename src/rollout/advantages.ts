/**
 * Computes the advantage of every completion from the rewards of a rollout batch, as data: one row per baseline, scale and
 * way to combine several rewards. Pure float64. A completion without a reward gets advantage 0 and is excluded from its
 * group's statistics.
 */
import { mean, sum } from '../base/mean.ts';

/** Baselines: from the valid rewards of a group to one difference per reward. */
export const BASELINES = {
  /** The mean of the others (RLOO, Kool et al. 2019): unbiased for objective (1) if the rewards include the KL. */
  leave_one_out: (rewards) => {
    const n = rewards.length;
    const differences = fromFirst(rewards);
    const all = sum(differences);
    // A single reward has no others to compare with.
    return differences.map((own) => (n > 1 ? own - (all - own) / (n - 1) : 0));
  },
  /** The mean of the group, including the reward itself (GRPO): smaller by the factor 1 − 1/n. */
  group_mean: (rewards) => {
    const differences = fromFirst(rewards);
    const average = mean(differences);
    return differences.map((own) => own - average);
  },
  /** No baseline (REINFORCE): unbiased, with the largest variance. */
  none: (rewards) => [...rewards],
} as const satisfies Readonly<Record<string, (rewards: readonly number[]) => number[]>>;

export type Baseline = keyof typeof BASELINES;

/** Added to a standard deviation before division, as in TRL. */
const EPSILON = 1e-4;

/** Divisors of a group's differences, from the valid rewards of the group and of the batch. */
export const SCALES = {
  /** The standard deviation of the group (GRPO): hard and easy prompts weigh as much as others. */
  group: (group) => standardDeviation(group) + EPSILON,
  /** The standard deviation of the batch (arXiv 2508.08221). */
  batch: (_, batch) => standardDeviation(batch) + EPSILON,
  /** No scaling (Dr. GRPO, RLOO). */
  none: () => 1,
} as const satisfies Readonly<Record<string, (group: readonly number[], batch: readonly number[]) => number>>;

export type Scale = keyof typeof SCALES;

type Rewards = readonly (number | null)[];

export interface AdvantageOptions {
  /** Completions per prompt, which are adjacent. */
  numGenerations: number;
  baseline: Baseline;
  /** Divisor of the differences; default: none. */
  scale?: Scale;
  /** Whether advantages are standardized over the whole batch (REINFORCE++, Hu 2025). */
  normalize?: boolean;
}

/**
 * rewards (prompts · numGenerations), null for an unrated completion → one advantage each. Throws a RangeError unless the
 * number of rewards is a multiple of numGenerations.
 */
export function advantages(
  rewards: Rewards,
  { numGenerations, baseline, scale = 'none', normalize = false }: AdvantageOptions,
): Float64Array {
  const batch = rated(rewards);
  const all = byGroup(rewards, numGenerations, (group) => {
    const divisor = SCALES[scale](group, batch);
    return BASELINES[baseline](group).map((difference) => difference / divisor);
  });
  return normalize ? standardized(all, rewards) : all;
}

/** The values of a reward function for a batch, and its weight. */
export interface WeighedValues {
  weight: number;
  values: Rewards;
}

/** The inputs of an advantage function. */
export interface AdvantageBatch {
  /**
   * Per completion, grouped by prompt: the weighted sum of its rewards, minus the KL penalty if that is part of the reward.
   * Null if it is unrated.
   */
  returns: Rewards;
  /** The rewards of each function by name. */
  byFunction: ReadonlyMap<string, WeighedValues>;
  /** Completions per prompt. */
  numGenerations: number;
}

/** Computes the advantage of each completion. */
export type AdvantageFunction = (batch: AdvantageBatch) => ArrayLike<number>;

/** How several rewards are combined into one advantage (TRL's `multi_objective_aggregation`). */
export const AGGREGATIONS = {
  /** Summed, then compared and scaled. */
  sum_then_normalize:
    (options: Omit<AdvantageOptions, 'numGenerations'>): AdvantageFunction =>
    ({ returns, numGenerations }) =>
      advantages(returns, { ...options, numGenerations }),
  /** Each function standardized in its group, then summed, then standardized over the batch (GDPO, arXiv 2601.05242). */
  normalize_then_sum:
    (): AdvantageFunction =>
    ({ returns, byFunction, numGenerations }) => {
      const summed = new Float64Array(returns.length);
      for (const { weight, values } of byFunction.values()) {
        const scores = advantages(values, { numGenerations, baseline: 'group_mean', scale: 'group' });
        for (const [i, score] of scores.entries()) summed[i] = summed[i] + weight * score;
      }
      return standardized(summed, returns);
    },
} as const satisfies Readonly<
  Record<string, (options: Omit<AdvantageOptions, 'numGenerations'>) => AdvantageFunction>
>;

export type Aggregation = keyof typeof AGGREGATIONS;

/** Applies a function to the valid values of each group; 0 for the others. */
function byGroup(
  rewards: Rewards,
  numGenerations: number,
  made: (group: readonly number[]) => readonly number[],
): Float64Array {
  if (rewards.length % numGenerations !== 0)
    throw new RangeError(`${rewards.length} rewards are not a multiple of the group size ${numGenerations}`);
  const all = new Float64Array(rewards.length);
  for (let start = 0; start < rewards.length; start += numGenerations) {
    const group = rewards.slice(start, start + numGenerations);
    const places = group.flatMap((reward, i) => (reward === null ? [] : [start + i]));
    const values = made(rated(group));
    for (const [i, place] of places.entries()) all[place] = values[i];
  }
  return all;
}

function standardized(values: Float64Array, rewards: Rewards): Float64Array {
  const known = [...values].filter((_, i) => rewards[i] !== null);
  const average = sum(known) / Math.max(1, known.length);
  const deviation = standardDeviation(known);
  return values.map((value, i) => (rewards[i] === null ? 0 : (value - average) / (deviation + EPSILON)));
}

/** Subtracts the first value: a mean of equal numbers may have a rounding error, a mean of zeros does not. */
function fromFirst(rewards: readonly number[]): number[] {
  const [first = 0] = rewards;
  return rewards.map((reward) => reward - first);
}

/** Uses Bessel's correction; 0 for fewer than two values. */
export function standardDeviation(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const average = mean(values);
  return Math.sqrt(sum(values.map((value) => (value - average) ** 2)) / (values.length - 1));
}

const rated = (rewards: Rewards) => rewards.filter((reward) => reward !== null);
