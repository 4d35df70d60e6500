/**
 * Generalized advantage estimation (Schulman et al. 2016): computes the advantage of each token from the rewards and values
 * of a completion's states, and whitens over a batch, both as in TRL's PPO. Pure float64.
 */
import { sum } from '../base/mean.ts';

export interface GaeOptions {
  /** Discount factor of later rewards. */
  gamma: number;
  /** 1: the advantage is the sum of future rewards minus the value. 0: one step ahead, with values for the rest. */
  lam: number;
}

/** Added to a variance before taking the square root. */
const EPSILON = 1e-8;

/**
 * rewards (n) and values (n) of the states of a completion → A_t = δ_t + γλ A_{t+1} with δ_t = r_t + γ V_{t+1} − V_t. After
 * the last state there is no reward. Throws a RangeError if the lengths differ.
 */
export function generalizedAdvantages(
  rewards: ArrayLike<number>,
  values: ArrayLike<number>,
  { gamma, lam }: GaeOptions,
): Float64Array {
  const n = rewards.length;
  if (values.length !== n) throw new RangeError(`${values.length} values for ${n} rewards`);
  const advantages = new Float64Array(n);
  let later = 0;
  let nextValue = 0;
  for (let t = n - 1; t >= 0; t--) {
    const value = values[t];
    const delta = rewards[t] + gamma * nextValue - value;
    later = delta + gamma * lam * later;
    advantages[t] = later;
    nextValue = value;
  }
  return advantages;
}

/** The training targets of the values: value plus advantage. */
export function valueTargets(advantages: ArrayLike<number>, values: ArrayLike<number>): Float64Array {
  return Float64Array.from(advantages, (advantage, t) => advantage + values[t]);
}

/**
 * The rewards of a completion's states: −klCoef (log π − log π_ref) of each token, plus the score on the last of `states`
 * states. With as many states as tokens that is the last token; TRL uses the state after it.
 */
export function tokenRewards(
  logRatios: ArrayLike<number>,
  score: number,
  { klCoef, states = logRatios.length }: { klCoef: number; states?: number },
): Float64Array {
  const rewards = new Float64Array(states);
  for (let t = 0; t < logRatios.length; t++) rewards[t] = -klCoef * logRatios[t];
  rewards[states - 1] = rewards[states - 1] + score;
  return rewards;
}

/**
 * Divides lists of numbers by their common standard deviation (with Bessel's correction), after subtracting the mean unless
 * `shiftMean` is false. A single number has no deviation and is only shifted.
 */
export function whitened(
  lists: readonly ArrayLike<number>[],
  { shiftMean = true }: { shiftMean?: boolean } = {},
): Float64Array[] {
  const all = lists.flatMap((list) => Array.from(list));
  const mean = sum(all) / Math.max(1, all.length);
  const variance = all.length > 1 ? sum(all.map((x) => (x - mean) ** 2)) / (all.length - 1) : 1;
  const scale = 1 / Math.sqrt(variance + EPSILON);
  const base = shiftMean ? 0 : mean;
  return lists.map((list) => Float64Array.from(list, (x) => base + (x - mean) * scale));
}
