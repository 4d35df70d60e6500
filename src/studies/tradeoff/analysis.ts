/**
 * Computes from the samples: both criteria and the KL of each model, the gain and cost of the second stage, whether q
 * interpolates between the stages, and whether the first stage is unchanged. Arithmetic on numbers per opening; standard
 * errors are the spread between openings, differences are computed opening by opening.
 */
import { type Estimate, estimate } from '../../cli/statistics.ts';
import { means } from '../shared/groups.ts';
import type { ByModel, Result, Samples } from './collect.ts';

export interface Point {
  /** Its description, for a table. */
  name: string;
  /** Scale of the second stage, if there is one. */
  q?: number;
  /** Number of optimizer steps. */
  steps: number;
  sentiment: Estimate;
  calm: Estimate;
  /** KL to the original model, by Schulman's k1, in nats. */
  kl: Estimate;
  /** Tokens per story. */
  tokens: Estimate;
}

export interface Change {
  sentiment: Estimate;
  calm: Estimate;
}

/** The change from one scale to the next. */
export interface Move extends Change {
  from: number;
  to: number;
}

export interface Tradeoff {
  base: Point;
  reward: Point;
  scaled: readonly Point[];
  both: Point;
  /** The changes by the first stage, the second, and both together. */
  first: Change;
  second: Change;
  whole: Change;
  /** The changes between consecutive scales. */
  moves: readonly Move[];
  /** The difference between training on both criteria at once and the two stages. */
  atOnce: Change;
}

export function tradeoffOf({ base, reward, scaled, both }: ByModel<Result>): Tradeoff {
  const last = scaled.at(-1)!.of;
  const points = scaled.map(({ q, of }) => ({ ...pointOf(of, `after both, q = ${q}`), q }));
  return {
    base: pointOf(base, 'as it was'),
    reward: pointOf(reward, 'after the first stage'),
    scaled: points,
    both: pointOf(both, 'both at once'),
    first: change(base, reward),
    second: change(reward, last),
    whole: change(base, last),
    moves: scaled.slice(1).map(({ q, of }, i) => {
      const before = scaled[i];
      return { from: before.q, to: q, ...change(before.of, of) };
    }),
    atOnce: change(last, both),
  };
}

function pointOf({ steps, sentiment, calm, logRatios, tokens }: Result, name: string): Point {
  const of = (groups: readonly (readonly number[])[]) => estimate(means(groups));
  return { name, steps, sentiment: of(sentiment), calm: of(calm), kl: of(logRatios), tokens: of(tokens) };
}

function change(from: Samples, to: Samples): Change {
  return { sentiment: difference(from.sentiment, to.sentiment), calm: difference(from.calm, to.calm) };
}

/** To − from, opening by opening. */
function difference(from: readonly (readonly number[])[], to: readonly (readonly number[])[]): Estimate {
  const before = means(from);
  return estimate(means(to).map((value, i) => value - before[i]));
}

/** Checks, each by more than the given number of standard errors. */
export interface Checks {
  /** Calm increases in the second stage. */
  calmer: boolean;
  /** Changes of q in which calm decreases or sentiment increases, by more than chance. */
  back: readonly Move[];
  /** Whether the first stage's weights have the same bytes in all samples, and all stories are equal at q = 0. */
  untouched: boolean;
}

export function checksOf(tradeoff: Tradeoff, { reward, scaled }: ByModel<Result>, errors: number): Checks {
  const { second, moves } = tradeoff;
  const zero = scaled.find(({ q }) => q === 0)?.of;
  const samples = ({ sentiment, calm, tokens, logRatios }: Result) =>
    JSON.stringify([sentiment, calm, tokens, logRatios]);
  return {
    calmer: second.calm.mean > errors * second.calm.standardError,
    back: moves.filter(
      ({ calm, sentiment }) =>
        calm.mean < -errors * calm.standardError || sentiment.mean > errors * sentiment.standardError,
    ),
    untouched:
      reward.firstStage !== undefined &&
      scaled.every(({ of }) => of.firstStage === reward.firstStage) &&
      (zero === undefined || samples(zero) === samples(reward)),
  };
}
