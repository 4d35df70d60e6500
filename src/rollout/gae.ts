/**
 * Generalized advantage estimation (Schulman et al. 2016): from the rewards and values of a completion's states to an
 * advantage for each of its tokens, and whitening over a batch, as TRL's PPO does both. Pure float64.
 */
import { sum } from '../base/mean.ts';

export interface GaeOptions {
  /** Discount of later rewards. */
  gamma: number;
  /** 1: advantages are rewards to come less the value. 0: one step ahead, everything else by the values. */
  lam: number;
}

/** Added to a variance before its square root divides. */
const EPSILON = 1e-8;

/**
 * rewards (n) and values (n) of the states of a completion → A_t = δ_t + γλ A_{t+1} with δ_t = r_t + γ V_{t+1} − V_t. Behind
 * the last state nothing is earned. Throws a RangeError where there are not as many values as rewards.
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
    const value = values[t] as number;
    const delta = (rewards[t] as number) + gamma * nextValue - value;
    later = delta + gamma * lam * later;
    advantages[t] = later;
    nextValue = value;
  }
  return advantages;
}

/** What a value is to become: its advantage added to it. */
export function valueTargets(advantages: ArrayLike<number>, values: ArrayLike<number>): Float64Array {
  return Float64Array.from(advantages, (advantage, t) => advantage + (values[t] as number));
}

/**
 * The rewards of a completion's states: −klCoef (log π − log π_ref) of each token, and the score on the last of `states`
 * states. With as many states as tokens that is the last token; TRL's place is the state behind it.
 */
export function tokenRewards(
  logRatios: ArrayLike<number>,
  score: number,
  { klCoef, states = logRatios.length }: { klCoef: number; states?: number },
): Float64Array {
  const rewards = new Float64Array(states);
  for (let t = 0; t < logRatios.length; t++) rewards[t] = -klCoef * (logRatios[t] as number);
  rewards[states - 1] = (rewards[states - 1] as number) + score;
  return rewards;
}

/**
 * Lists of numbers divided by the standard deviation of all of them (with Bessel's correction), less their mean unless
 * `shiftMean` is false. A single number has no deviation and stays as it is, up to the mean.
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
