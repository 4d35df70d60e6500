/**
 * From the rewards of a rollout batch to the advantage of every completion, as data: a row for each baseline, each scale and
 * each way to make one reward of several. Pure float64. A completion without a reward gets advantage 0 and is left out of its
 * group's statistics.
 */
import { mean, sum } from '../base/mean.ts';

/** What a reward is compared with: from the scorable rewards of a group to as many differences. */
export const BASELINES = {
  /** The mean of the others (RLOO, Kool et al. 2019): with rewards that hold the KL, unbiased for objective (1). */
  leave_one_out: (rewards) => {
    const n = rewards.length;
    const differences = fromFirst(rewards);
    const all = sum(differences);
    // One alone has no others to compare with.
    return differences.map((own) => (n > 1 ? own - (all - own) / (n - 1) : 0));
  },
  /** The mean of the group, itself included (GRPO): smaller by the factor 1 − 1/n. */
  group_mean: (rewards) => {
    const differences = fromFirst(rewards);
    const average = mean(differences);
    return differences.map((own) => own - average);
  },
  /** Nothing (REINFORCE): unbiased, with the largest variance. */
  none: (rewards) => [...rewards],
} as const satisfies Readonly<Record<string, (rewards: readonly number[]) => number[]>>;

export type Baseline = keyof typeof BASELINES;

/** Added to a standard deviation before something is divided by it, as TRL does. */
const EPSILON = 1e-4;

/** What a group's differences are divided by, from its own scorable rewards and those of the batch. */
export const SCALES = {
  /** The standard deviation of the group (GRPO): what is hard or easy weighs as much as what is in between. */
  group: (group) => standardDeviation(group) + EPSILON,
  /** The standard deviation of the batch (arXiv 2508.08221). */
  batch: (_, batch) => standardDeviation(batch) + EPSILON,
  /** Nothing (Dr. GRPO, RLOO). */
  none: () => 1,
} as const satisfies Readonly<Record<string, (group: readonly number[], batch: readonly number[]) => number>>;

export type Scale = keyof typeof SCALES;

type Rewards = readonly (number | null)[];

export interface AdvantageOptions {
  /** Completions of a prompt, which lie next to each other. */
  numGenerations: number;
  baseline: Baseline;
  /** What differences are divided by; nothing where it is left out. */
  scale?: Scale;
  /** Whether advantages are standardized over the whole batch (REINFORCE++, Hu 2025). */
  normalize?: boolean;
}

/**
 * rewards (prompts · numGenerations), null for a completion that nothing could rate → an advantage for each. Throws a
 * RangeError where the rewards are no whole number of groups.
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

/** What a reward function gave for a batch, and its weight. */
export interface WeighedValues {
  weight: number;
  values: Rewards;
}

/** What advantages are made of. */
export interface AdvantageBatch {
  /**
   * Per completion, those of a prompt next to each other: its rewards weighed and added up, less the KL penalty where that
   * is in the reward. Null where nothing rated it.
   */
  returns: Rewards;
  /** The rewards of each function by its name. */
  byFunction: ReadonlyMap<string, WeighedValues>;
  /** Completions of a prompt. */
  numGenerations: number;
}

/** Makes an advantage of each completion. */
export type AdvantageFunction = (batch: AdvantageBatch) => ArrayLike<number>;

/** How several rewards become one advantage (TRL's `multi_objective_aggregation`). */
export const AGGREGATIONS = {
  /** Added up, then compared and scaled. */
  sum_then_normalize:
    (options: Omit<AdvantageOptions, 'numGenerations'>): AdvantageFunction =>
    ({ returns, numGenerations }) =>
      advantages(returns, { ...options, numGenerations }),
  /** Each function standardized in its group, then added up, then standardized over the batch (GDPO, arXiv 2601.05242). */
  normalize_then_sum:
    (): AdvantageFunction =>
    ({ returns, byFunction, numGenerations }) => {
      const summed = new Float64Array(returns.length);
      for (const { weight, values } of byFunction.values()) {
        const scores = advantages(values, { numGenerations, baseline: 'group_mean', scale: 'group' });
        for (const [i, score] of scores.entries()) summed[i] = (summed[i] as number) + weight * score;
      }
      return standardized(summed, returns);
    },
} as const satisfies Readonly<
  Record<string, (options: Omit<AdvantageOptions, 'numGenerations'>) => AdvantageFunction>
>;

export type Aggregation = keyof typeof AGGREGATIONS;

/** What is made of the scorable values of each group, in their places; 0 elsewhere. */
function byGroup(
  rewards: Rewards,
  numGenerations: number,
  made: (group: readonly number[]) => readonly number[],
): Float64Array {
  if (rewards.length % numGenerations !== 0)
    throw new RangeError(`${rewards.length} rewards are no whole number of groups of ${numGenerations}`);
  const all = new Float64Array(rewards.length);
  for (let start = 0; start < rewards.length; start += numGenerations) {
    const group = rewards.slice(start, start + numGenerations);
    const places = group.flatMap((reward, i) => (reward === null ? [] : [start + i]));
    const values = made(rated(group));
    for (const [i, place] of places.entries()) all[place] = values[i] as number;
  }
  return all;
}

function standardized(values: Float64Array, rewards: Rewards): Float64Array {
  const known = [...values].filter((_, i) => rewards[i] !== null);
  const average = sum(known) / Math.max(1, known.length);
  const deviation = standardDeviation(known);
  return values.map((value, i) => (rewards[i] === null ? 0 : (value - average) / (deviation + EPSILON)));
}

/** Less the first: a mean of equal numbers may be off by a rounding, one of zeros is not. */
function fromFirst(rewards: readonly number[]): number[] {
  const [first = 0] = rewards;
  return rewards.map((reward) => reward - first);
}

/** With Bessel's correction; 0 for fewer than two values. */
export function standardDeviation(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const average = mean(values);
  return Math.sqrt(sum(values.map((value) => (value - average) ** 2)) / (values.length - 1));
}

const rated = (rewards: Rewards) => rewards.filter((reward) => reward !== null);
