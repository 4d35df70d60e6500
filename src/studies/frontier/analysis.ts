/**
 * What the samples say: the optimum's curve and best-of-n from the reference's rewards, reward and KL of each method, how
 * much room Theorem 1 leaves above it, and how far it is ahead of best-of-n. Pure arithmetic on numbers per prompt;
 * standard errors are the spread between prompts, so that they include what varies together from prompt to prompt.
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

/** The optimal policy for one β, corrected by the jackknife within each prompt. */
export interface CurvePoint extends Place {
  beta: number;
  /** As the samples have it: weights of few samples make the optimum look worse than it is. */
  plain: Place;
  /** By how much the corrected figures rose from half of each prompt's samples to all of them: what may be left of the bias. */
  rise: Place;
  /** How many samples of π* those of the reference are worth, a prompt. */
  effectiveSamples: number;
  /** log Z of each prompt, corrected. */
  logPartitions: readonly number[];
}

/** The optimum for each of `betas`, which fall, as far as the samples are worth `leastEffective` of its own. */
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
      estimate(
        whole.map((each, p) => each[part] - mean((halves[p] as typeof whole).map((half) => half[part]))),
      );
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
 * The most that a policy of this KL can earn: the least over the β of the curve of β KL + β log Z, its tangents, which meet
 * it from above. Beyond its end that is the tangent there.
 */
export function limitAt(curve: readonly CurvePoint[], kl: number): Estimate {
  return curve
    .map(({ beta, logPartitions }) => estimate(logPartitions.map((logZ) => beta * (kl + logZ))))
    .reduce((least, each) => (each.mean < least.mean ? each : least));
}

export interface Room {
  /** The β whose optimum limits the method. */
  beta: number;
  /** The most that any policy of this KL can earn. */
  limit: number;
  /** Limit − reward: β KL(π ‖ π*), below 0 only by chance. */
  room: Estimate;
  /** Whether its KL lies beyond the curve, so that the limit is the tangent at the curve's end. */
  beyond: boolean;
}

/**
 * Theorem 1 as a limit: E_π[r] ≤ β KL(π ‖ π_ref) + β log Z for every π and every β, of which the least counts, as in
 * {@link limitAt}. Reward, KL and log Z are compared prompt by prompt, so that the error is that of their difference.
 */
export function roomBelow(curve: readonly CurvePoint[], samples: Samples): Room {
  const [reward, kl] = [means(samples.rewards), means(samples.logRatios)];
  const rooms = curve.map(({ beta, logPartitions }) =>
    estimate(reward.map((r, p) => beta * ((kl[p] as number) + (logPartitions[p] as number)) - r)),
  );
  const least = rooms.reduce((best, { mean }, i) => (mean < (rooms[best] as Estimate).mean ? i : best), 0);
  const [at, room] = [curve[least], rooms[least]];
  if (!at || !room) throw new RangeError('roomBelow: the curve has no point');
  const end = curve.at(-1) as CurvePoint;
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
  /** log n − (n − 1)/n, which its KL does not exceed. */
  kl: number;
  reward: Estimate;
  /** Reward of each prompt. */
  rewards: readonly number[];
}

/** Best-of-n for every n up to the samples of a prompt. */
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
 * Reward − that of best-of-n at the same KL, between the two n around it; undefined beyond the largest n. The error
 * heeds that of the KL by the slope there.
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
      const [from, to] = [low.rewards[p] as number, high.rewards[p] as number];
      const slope = (high.reward.mean - low.reward.mean) / (high.kl - low.kl);
      return r - (from + share * (to - from)) - slope * ((kl[p] as number) - mean);
    }),
  );
}

/** The least n whose best has at least this reward; undefined where none of the curve has. */
export function sameReward(best: readonly BestPoint[], reward: number): number | undefined {
  return best.find((point) => point.reward.mean >= reward)?.n;
}

/** What a method was given, in units that all share. */
export interface Effort {
  /** Stories that were written to learn from, by the model itself or for its pairs. */
  stories: number;
  /** Optimizer steps. */
  steps: number;
  /** Training, writing included; undefined where it was not timed. */
  seconds: number | undefined;
}

/** A method with everything that is said of it. */
export interface MethodPoint extends Measured, Room {
  id: string;
  family: string;
  label: string;
  effort: Effort;
  priced: Priced;
  /** Reward − that of best-of-n at its KL. */
  lead: Estimate | undefined;
  /** The n of best-of-n that earns as much. */
  sameAsBestOf: number | undefined;
}

export interface Frontier {
  curve: readonly CurvePoint[];
  /** With the room above each at its KL bound, beyond which its KL is not. */
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

/** What is held against the samples, each by more than `errors` standard errors. Nothing may be above the optimum. */
export interface Checks {
  /** Methods above the optimum. */
  crossing: readonly MethodPoint[];
  /** Each n whose best is above it. */
  crossingBest: readonly number[];
  /** Those of the family that are ahead of best-of-n: a finding, whichever way it goes. */
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
