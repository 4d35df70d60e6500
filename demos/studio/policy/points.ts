/**
 * Whether a run against the reward model has gone too far: for each of its points, the reward model's score beside how often its person
 * preferred it to the model before. Plain data.
 */
import type { PastRun } from '../history.ts';
import { stepNamed } from '../run-names.ts';
import type { WinRate } from '../win-rate.ts';

type PolicyRun = Pick<PastRun, 'startedAt' | 'name' | 'method' | 'step' | 'policy'>;

/** A blind comparison that has ended. */
export interface Votes {
  wins: number;
  planned: number;
  rate: number;
  interval: readonly [low: number, high: number];
}

export interface RunPoint {
  step: number;
  /** Mean score of the reward model on held-out prompts, and KL from the model before; not a number where the step was not measured. */
  score: number;
  kl: number;
  /** Against the model before. */
  votes: Votes | undefined;
}

/** Two points of the run against each other: how often the later one was better. */
export interface Duel {
  earlier: number;
  later: number;
  votes: Votes;
}

/** The points of a run that can be compared, its start first. */
export function pointsOf(run: PolicyRun, rates: readonly WinRate[]): RunPoint[] {
  const { policy, step } = run;
  if (!policy) return [];
  const steps = [...new Set([0, ...policy.snapshots, step])].sort((a, b) => a - b);
  const against = rates.filter((rate) => rate.against === undefined);
  return steps.map((at) => {
    const { reward: score = Number.NaN, kl = Number.NaN } =
      policy.heldOut.find((each) => each.step === at) ?? {};
    const rate = against.find(({ adapter, result }) => result && at > 0 && stepNamed(run, adapter) === at);
    return { step: at, score, kl, votes: rate && votesOf(rate) };
  });
}

/** Comparisons of two points of the run that have ended. */
export function duelsOf(run: PolicyRun, rates: readonly WinRate[]): Duel[] {
  return rates.flatMap((rate) => {
    const [a, b] = [rate.adapter, rate.against].map((name) =>
      name === undefined ? undefined : stepNamed(run, name),
    );
    const votes = votesOf(rate);
    if (a === undefined || b === undefined || a === b || !votes) return [];
    return [a > b ? { earlier: b, later: a, votes } : { earlier: a, later: b, votes: turned(votes) }];
  });
}

function votesOf({ planned, result }: WinRate): Votes | undefined {
  return result && planned !== undefined ? { ...result, planned } : undefined;
}

const turned = ({ wins, planned, rate, interval: [low, high] }: Votes): Votes => ({
  wins: planned - wins,
  planned,
  rate: 1 - rate,
  interval: [1 - high, 1 - low],
});

const percent = (share: number) => `${Math.round(100 * share)}%`;
const fixed = (value: number) => value.toFixed(2).replace('-', '−');
const inWords = ({ rate, interval }: Votes) =>
  `${percent(rate)} (95% interval ${interval.map(percent).join(' to ')})`;

/** What score and votes say together, in a sentence or two. */
export function verdictOn(points: readonly RunPoint[], duels: readonly Duel[]): string {
  const [duel] = duels;
  if (duel) return ofDuel(duel, points);
  const voted = points.flatMap(({ votes, ...point }) => (votes ? [{ ...point, votes }] : []));
  const [first, last] = [voted[0], voted.at(-1)];
  const start = points[0];
  if (!first || !last || !start)
    return 'Vote blind between a point of this run and the model before: then you see whether you still agree with the reward model.';
  if (first === last) return ofOne(last, start);
  const rises = last.score > first.score;
  const falls = last.votes.rate < first.votes.rate;
  const told = `From step ${first.step} to step ${last.step} the reward model’s score goes from ${fixed(first.score)} to ${fixed(last.score)}, and your win rate from ${percent(first.votes.rate)} to ${percent(last.votes.rate)}.`;
  if (!(rises && falls)) return told;
  const isClear = last.votes.interval[1] < first.votes.interval[0];
  const sure = isClear ? '' : ' The intervals overlap: more votes may say otherwise.';
  return `${told} The reward model says better, and you say worse: the policy exploits the reward model’s errors.${sure}`;
}

function ofOne({ step, score, votes }: RunPoint & { votes: Votes }, start: RunPoint): string {
  const scored = `The reward model scores step ${step} with ${fixed(score)} and the start with ${fixed(start.score)}`;
  const preferred = `you preferred step ${step} in ${inWords(votes)}`;
  return `${scored}; ${preferred}. ${judged(score > start.score, votes)}`;
}

function ofDuel({ earlier, later, votes }: Duel, points: readonly RunPoint[]): string {
  const scoreAt = (step: number) => points.find((point) => point.step === step)?.score ?? Number.NaN;
  const [before, after] = [scoreAt(earlier), scoreAt(later)];
  const scored = `The reward model scores step ${earlier} with ${fixed(before)} and step ${later} with ${fixed(after)}`;
  return `${scored}; you preferred step ${later} to step ${earlier} in ${inWords(votes)}. ${judged(after > before, votes)}`;
}

function judged(isScoredHigher: boolean, { interval: [low, high] }: Votes): string {
  if (low <= 0.5 && high >= 0.5) return 'Your votes are too close to call.';
  const isPreferred = low > 0.5;
  if (isScoredHigher === isPreferred) return 'You and the reward model agree.';
  return isScoredHigher
    ? 'The reward model says better, and you say worse: the policy exploits the reward model’s errors.'
    : 'The reward model says worse, and you say better.';
}
