/**
 * From the rewards of a rollout batch to the advantage of every completion, as data: a row for each baseline and each scale.
 * Pure float64. A completion without a reward gets advantage 0 and is left out of its group's statistics.
 */

/** What a reward is compared with: from the scorable rewards of a group to as many differences. */
export const BASELINES = {
  /** The mean of the others (RLOO, Kool et al. 2019): with rewards that hold the KL, unbiased for objective (1). */
  leave_one_out: (rewards) => {
    const n = rewards.length;
    const differences = fromFirst(rewards);
    const sum = total(differences);
    // One alone has no others to compare with.
    return differences.map((own) => (n > 1 ? own - (sum - own) / (n - 1) : 0));
  },
  /** The mean of the group, itself included (GRPO): smaller by the factor 1 − 1/n. */
  group_mean: (rewards) => {
    const differences = fromFirst(rewards);
    const mean = total(differences) / rewards.length;
    return differences.map((own) => own - mean);
  },
  /** Nothing (REINFORCE): unbiased, with the largest variance. */
  none: (rewards) => [...rewards],
} as const satisfies Readonly<Record<string, (rewards: readonly number[]) => number[]>>;

export type Baseline = keyof typeof BASELINES;

export interface AdvantageOptions {
  /** Completions of a prompt, which lie next to each other. */
  numGenerations: number;
  baseline: Baseline;
  /** Whether advantages are standardized over the whole batch (REINFORCE++, Hu 2025). */
  normalize?: boolean;
}

/** Added to a standard deviation before something is divided by it, as TRL does. */
const EPSILON = 1e-4;

/**
 * rewards (prompts · numGenerations), null for a completion that nothing could rate → an advantage for each. Throws a
 * RangeError where the rewards are no whole number of groups.
 */
export function advantages(
  rewards: readonly (number | null)[],
  { numGenerations, baseline, normalize = false }: AdvantageOptions,
): Float64Array {
  if (rewards.length % numGenerations !== 0)
    throw new RangeError(`${rewards.length} rewards are no whole number of groups of ${numGenerations}`);
  const all = new Float64Array(rewards.length);
  for (let start = 0; start < rewards.length; start += numGenerations) {
    const group = rewards.slice(start, start + numGenerations);
    const rated = group.flatMap((reward, i) => (reward === null ? [] : [{ reward, at: start + i }]));
    const differences = BASELINES[baseline](rated.map(({ reward }) => reward));
    for (const [i, { at }] of rated.entries()) all[at] = differences[i] as number;
  }
  return normalize ? standardized(all, rewards) : all;
}

function standardized(values: Float64Array, rewards: readonly (number | null)[]): Float64Array {
  const rated = [...values].filter((_, i) => rewards[i] !== null);
  const mean = total(rated) / Math.max(1, rated.length);
  const deviation = standardDeviation(rated);
  return values.map((value, i) => (rewards[i] === null ? 0 : (value - mean) / (deviation + EPSILON)));
}

/** Less the first: a mean of equal numbers may be off by a rounding, one of zeros is not. */
function fromFirst(rewards: readonly number[]): number[] {
  const [first = 0] = rewards;
  return rewards.map((reward) => reward - first);
}

/** With Bessel's correction; 0 for fewer than two values. */
export function standardDeviation(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const mean = total(values) / values.length;
  return Math.sqrt(total(values.map((value) => (value - mean) ** 2)) / (values.length - 1));
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
