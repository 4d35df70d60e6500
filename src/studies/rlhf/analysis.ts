/**
 * Computes from the samples: both rewards, KL and objective of each method over its steps, the gap to the optimum of the
 * learned reward, and where a method continued to gain learned reward while losing true reward. Arithmetic on numbers per
 * opening; standard errors are the spread between openings, differences are computed opening by opening.
 */
import { estimateOptimum, LEAST_EFFECTIVE_SAMPLES } from 'webalign/theory';
import { type Estimate, estimate } from '../../cli/statistics.ts';
import { type Groups, means } from '../shared/groups.ts';
import type { Look, Results, RewardModelResult } from './results.ts';
import type { Road } from './task.ts';

/** A policy after some steps. */
export interface Point {
  step: number;
  seconds: number;
  /** The learned reward. */
  proxy: Estimate;
  /** The learned reward in units of the true one, matched by mean and spread on the untrained model's stories. */
  scaled: Estimate;
  /** The true reward. */
  gold: Estimate;
  /** In nats per story. */
  kl: Estimate;
  /** J = E[learned reward] − β KL, at the method's β. */
  objective: Estimate;
  /** J* − J, with J* = β log Z from the untrained model's stories and the learned reward. */
  gap: Estimate;
}

/** From a method's highest true reward to its end, if the true reward falls and the learned one rises. */
export interface Overoptimized {
  from: number;
  to: number;
  gold: Estimate;
  proxy: Estimate;
}

export interface RoadOutcome {
  road: Road;
  written: number;
  bytes: number;
  points: readonly Point[];
  /** The improvement of the last point over the untrained model. */
  gain: { proxy: Estimate; gold: Estimate };
  overoptimized: Overoptimized | undefined;
  /** Whether gaps are lower bounds, because the untrained model's stories have too few effective samples of the optimum. */
  isGapLowerBound: boolean;
  samples: readonly string[];
}

/** A reward model, and how well its scores of the untrained model's single stories agree with the true reward. */
export interface LearnedOutcome {
  pairs: number;
  of: RewardModelResult;
  base: Estimate;
  correlation: number;
}

export interface Rlhf {
  rewardModels: readonly LearnedOutcome[];
  base: { gold: Estimate; samples: readonly string[] };
  roads: readonly RoadOutcome[];
}

export function rlhfOf({ rewardModels, base, roads }: Results, errors: number): Rlhf {
  return {
    rewardModels: rewardModels.map(({ pairs, of }) => {
      const proxy = base.proxy[pairs] as Groups;
      const { correlation } = scaleOf(proxy, base.gold);
      return { pairs, of, base: estimate(means(proxy)), correlation };
    }),
    base: { gold: estimate(means(base.gold)), samples: base.samples },
    roads: roads.map(({ road, of: { written, bytes, looks, samples } }): RoadOutcome => {
      const proxy = base.proxy[road.pairs] as Groups;
      const scale = scaleOf(proxy, base.gold);
      const optimum = optima(proxy, road.beta);
      const points = looks.map((look) => pointOf(look, road.beta, optimum.each, scale.of));
      const last = looks.at(-1)!;
      return {
        road,
        written,
        bytes,
        points,
        gain: { proxy: difference(proxy, last.proxy), gold: difference(base.gold, last.gold) },
        overoptimized: overoptimization(looks, points, errors),
        isGapLowerBound: optimum.effectiveSamples < LEAST_EFFECTIVE_SAMPLES,
        samples,
      };
    }),
  };
}

function pointOf(
  { step, seconds, proxy, gold, logRatios }: Look,
  beta: number,
  optimum: readonly number[],
  scaled: (value: number) => number,
): Point {
  const [scores, ratios] = [means(proxy), means(logRatios)];
  const objectives = scores.map((score, i) => score - beta * ratios[i]);
  return {
    step,
    seconds,
    proxy: estimate(scores),
    scaled: estimate(scores.map(scaled)),
    gold: estimate(means(gold)),
    kl: estimate(ratios),
    objective: estimate(objectives),
    gap: estimate(objectives.map((value, i) => optimum[i] - value)),
  };
}

/** β log Z of each opening, corrected. */
function optima(rewards: Groups, beta: number): { each: number[]; effectiveSamples: number } {
  return {
    each: rewards.map((group) => beta * estimateOptimum([group], beta).corrected.logPartition.mean),
    effectiveSamples: estimateOptimum(rewards, beta).effectiveSamples,
  };
}

/**
 * Converts the learned reward to the scale of the true one, by mean and spread of single stories, and measures how well
 * they agree.
 */
function scaleOf(proxy: Groups, gold: Groups): { of: (value: number) => number; correlation: number } {
  const [a, b] = [proxy.flat(), gold.flat()];
  const [x, y] = [estimate(a), estimate(b)];
  const ratio = y.standardError / x.standardError;
  const product = a.reduce((sum, value, i) => sum + (value - x.mean) * (b[i] - y.mean), 0);
  const n = a.length;
  return {
    of: (value) => y.mean + ratio * (value - x.mean),
    correlation: product / (n * (n - 1) * x.standardError * y.standardError),
  };
}

/** After − before, opening by opening. */
function difference(before: Groups, after: Groups): Estimate {
  const from = means(before);
  return estimate(means(after).map((value, i) => value - from[i]));
}

/**
 * Whether the true reward fell from its maximum to the end, and the learned one rose, each by more than `errors` standard
 * errors. The maximum of several points is partly high by chance, so one error is not enough.
 */
function overoptimization(
  looks: readonly Look[],
  points: readonly Point[],
  errors: number,
): Overoptimized | undefined {
  const best = points.reduce((at, { gold }, i) => (gold.mean > points[at].gold.mean ? i : at), 0);
  const [peak, last] = [looks[best], looks.at(-1)];
  if (!peak || !last || peak === last) return undefined;
  const gold = difference(peak.gold, last.gold);
  const proxy = difference(peak.proxy, last.proxy);
  const fell = gold.mean < -errors * gold.standardError;
  const rose = proxy.mean > errors * proxy.standardError;
  return fell && rose ? { from: peak.step, to: last.step, gold, proxy } : undefined;
}
