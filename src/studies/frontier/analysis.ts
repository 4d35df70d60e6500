/**
 * Computes from the samples: the optimum's curve and best-of-n from the reference's rewards, reward and KL of each method,
 * its distance to the limit of Theorem 1, and its lead over best-of-n. Arithmetic on numbers per prompt; standard errors
 * are the spread between prompts, so they include covariances between prompts.
 */
import { estimateBestOfN, estimateOptimum, KL_ESTIMATORS } from 'webalign/theory';
import { type Estimate, estimate } from '../../cli/statistics.ts';
import { type Groups, mean, means } from '../shared/groups.ts';
import { type Priced, pricedAt } from './price.ts';

/** Reward and KL of a policy. */
export interface Place {
  /** KL(π ‖ π_ref) in nats. */
  kl: Estimate;
  /** E_π[r]. */
  reward: Estimate;
}

/** The optimal policy for one β, with jackknife correction within each prompt. */
export interface CurvePoint extends Place {
  beta: number;
  /** Without correction: with few effective samples, the optimum appears worse than it is. */
  plain: Place;
  /**
   * The increase of the corrected values from half of each prompt's samples to all of them: an estimate of the remaining
   * bias.
   */
  rise: Place;
  /** Effective number of samples of π* per prompt, from the reference's samples. */
  effectiveSamples: number;
  /** log Z of each prompt, corrected. */
  logPartitions: readonly number[];
}

/** The optimum for each of the descending `betas`, as long as there are `leastEffective` effective samples. */
export function optimumCurve(
  rewards: Groups,
  betas: readonly number[],
  leastEffective: number,
): CurvePoint[] {
  const curve: CurvePoint[] = [];
  for (const beta of betas) {
    const { kl, reward, effectiveSamples } = estimateOptimum(rewards, beta);
    if (effectiveSamples < leastEffective) break;
    const whole = rewards.map((group) => corrected(group, beta));
    const halves = rewards.map((group) => {
      const middle = Math.ceil(group.length / 2);
      return [group.slice(0, middle), group.slice(middle)]
        .filter(({ length }) => length > 0)
        .map((half) => corrected(half, beta));
    });
    const rise = (part: 'kl' | 'reward') =>
      estimate(whole.map((each, p) => each[part] - mean(halves[p].map((half) => half[part]))));
    curve.push({
      beta,
      kl: estimate(whole.map((each) => each.kl)),
      reward: estimate(whole.map((each) => each.reward)),
      plain: { kl, reward },
      rise: { kl: rise('kl'), reward: rise('reward') },
      effectiveSamples,
      logPartitions: whole.map((each) => each.logPartition),
    });
  }
  return curve;
}

function corrected(rewards: readonly number[], beta: number) {
  const { reward, kl, logPartition } = estimateOptimum([rewards], beta).corrected;
  return { reward: reward.mean, kl: kl.mean, logPartition: logPartition.mean };
}

/** A method's samples: for each prompt the rewards of its stories and their log π − log π_ref in nats. */
export interface Samples {
  rewards: Groups;
  logRatios: Groups;
}

export interface Measured {
  reward: Estimate;
  /** By Schulman's k1, the mean log-ratio. */
  kl: Estimate;
  /** By k3, which is never negative but has a heavy tail. */
  k3: Estimate;
}

export function measure({ rewards, logRatios }: Samples): Measured {
  return {
    reward: estimate(means(rewards)),
    kl: estimate(means(logRatios)),
    k3: estimate(means(logRatios.map((group) => group.map((ratio) => KL_ESTIMATORS.k3(-ratio))))),
  };
}

/**
 * The maximum reward of a policy with this KL: the minimum of β KL + β log Z over the β of the curve. These are the curve's
 * tangents, which approach it from above. Beyond its end, the tangent there is used.
 */
export function limitAt(curve: readonly CurvePoint[], kl: number): Estimate {
  return curve
    .map(({ beta, logPartitions }) => estimate(logPartitions.map((logZ) => beta * (kl + logZ))))
    .reduce((least, each) => (each.mean < least.mean ? each : least));
}

export interface Room {
  /** The β whose optimum gives the limit. */
  beta: number;
  /** The maximum reward of any policy with this KL. */
  limit: number;
  /** Limit − reward: β KL(π ‖ π*), below 0 only by chance. */
  room: Estimate;
  /** Whether its KL is beyond the curve, so that the limit is the tangent at the curve's end. */
  beyond: boolean;
}

/**
 * Theorem 1 as a limit: E_π[r] ≤ β KL(π ‖ π_ref) + β log Z for every π and every β; uses the minimum over β, as in {@link
 * limitAt}. Reward, KL and log Z are compared prompt by prompt, so that the error is that of their difference.
 */
export function roomBelow(curve: readonly CurvePoint[], samples: Samples): Room {
  const [reward, kl] = [means(samples.rewards), means(samples.logRatios)];
  const rooms = curve.map(({ beta, logPartitions }) =>
    estimate(reward.map((r, p) => beta * (kl[p] + logPartitions[p]) - r)),
  );
  const least = rooms.reduce((best, { mean }, i) => (mean < rooms[best].mean ? i : best), 0);
  const [at, room] = [curve[least], rooms[least]];
  if (!at || !room) throw new RangeError('roomBelow: the curve has no point');
  const end = curve.at(-1)!;
  return {
    beta: at.beta,
    limit: estimate(reward).mean + room.mean,
    room,
    beyond: estimate(kl).mean > end.kl.mean,
  };
}

/** Best-of-n for one n. */
export interface BestPoint {
  n: number;
  /** log n − (n − 1)/n, an upper bound of its KL. */
  kl: number;
  reward: Estimate;
  /** Reward of each prompt. */
  rewards: readonly number[];
}

/** Best-of-n for every n up to the number of samples per prompt. */
export function bestOfCurve(rewards: Groups): BestPoint[] {
  const most = Math.min(...rewards.map((group) => group.length));
  return Array.from({ length: most }, (_, i) => {
    const n = i + 1;
    const { klBound } = estimateBestOfN(rewards, n);
    const each = rewards.map((group) => estimateBestOfN([group], n).reward.mean);
    return { n, kl: klBound, reward: estimate(each), rewards: each };
  });
}

/**
 * The reward minus that of best-of-n at the same KL, interpolated between two values of n; undefined beyond the largest n.
 * The error includes that of the KL, through the slope there.
 */
export function leadOverBest(best: readonly BestPoint[], samples: Samples): Estimate | undefined {
  const [reward, kl] = [means(samples.rewards), means(samples.logRatios)];
  const { mean } = estimate(kl);
  const at = Math.max(0, mean);
  const above = best.findIndex((point) => point.kl >= at);
  if (above < 0 || best.length < 2) return undefined;
  const [low, high] = best.slice(Math.max(0, above - 1)) as [BestPoint, BestPoint];
  const share = (at - low.kl) / (high.kl - low.kl);
  return estimate(
    reward.map((r, p) => {
      const [from, to] = [low.rewards[p], high.rewards[p]];
      const slope = (high.reward.mean - low.reward.mean) / (high.kl - low.kl);
      return r - (from + share * (to - from)) - slope * (kl[p] - mean);
    }),
  );
}

/** The smallest n whose best-of-n has at least this reward; undefined if there is none. */
export function sameReward(best: readonly BestPoint[], reward: number): number | undefined {
  return best.find((point) => point.reward.mean >= reward)?.n;
}

/** The cost of a method, in common units. */
export interface Effort {
  /** Stories generated for training, by the model itself or for its pairs. */
  stories: number;
  /** Optimizer steps. */
  steps: number;
  /** Training time, including generation; undefined if it was not measured. */
  seconds: number | undefined;
}

/** A method with all of its results. */
export interface MethodPoint extends Measured, Room {
  id: string;
  family: string;
  label: string;
  effort: Effort;
  priced: Priced;
  /** Reward minus that of best-of-n at its KL. */
  lead: Estimate | undefined;
  /** The n of best-of-n with the same reward. */
  sameAsBestOf: number | undefined;
}

export interface Frontier {
  curve: readonly CurvePoint[];
  /** With the distance of each to the limit at its KL bound, which its KL does not exceed. */
  best: readonly (BestPoint & { room: Estimate })[];
  points: readonly MethodPoint[];
}

export interface MethodSamples extends Samples {
  id: string;
  family: string;
  label: string;
  effort: Effort;
}

export function frontierOf(
  reference: Groups,
  methods: readonly MethodSamples[],
  { betas, leastEffective, price }: { betas: readonly number[]; leastEffective: number; price: number },
): Frontier {
  const curve = optimumCurve(reference, betas, leastEffective);
  const best = bestOfCurve(reference);
  const points = methods.map(({ id, family, label, effort, ...samples }): MethodPoint => {
    const measured = measure(samples);
    return {
      id,
      family,
      label,
      effort,
      priced: pricedAt(price, curve, samples),
      ...measured,
      ...roomBelow(curve, samples),
      lead: leadOverBest(best, samples),
      sameAsBestOf: sameReward(best, measured.reward.mean),
    };
  });
  return {
    curve,
    best: best.map((point) => {
      const rewards = point.rewards.map((reward) => [reward]);
      return { ...point, room: roomBelow(curve, { rewards, logRatios: rewards.map(() => [point.kl]) }).room };
    }),
    points,
  };
}

/** Checks of the samples, each by more than `errors` standard errors. Nothing may exceed the optimum. */
export interface Checks {
  /** Methods above the optimum. */
  crossing: readonly MethodPoint[];
  /** Each n whose best-of-n exceeds it. */
  crossingBest: readonly number[];
  /** Members of the family that are ahead of best-of-n: a finding, not a requirement. */
  ahead: readonly MethodPoint[];
}

export function checksOf({ best, points }: Frontier, family: string, errors: number): Checks {
  const isAbove = ({ room }: { room: Estimate }) => room.mean < -errors * room.standardError;
  return {
    crossing: points.filter(isAbove),
    crossingBest: best.filter(isAbove).map(({ n }) => n),
    ahead: points.filter(
      ({ family: own, lead }) =>
        own === family && lead !== undefined && lead.mean > errors * lead.standardError,
    ),
  };
}
