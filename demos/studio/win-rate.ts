/** How often one model was preferred to another, from picks between drafts of the two on held-out prompts. */
import type { Judgment } from './preferences/judgment.ts';
import { isHeldOut } from './preferences/split.ts';

/** Two models that are compared: the adapter whose wins are counted, and the other one; undefined for the model before. */
export interface Pairing {
  adapter: string;
  against: string | undefined;
}

export interface WinRate extends Pairing {
  /** What the comparison is known by. */
  key: string;
  wins: number;
  losses: number;
  /** Ties, both-bad and edits: undecided. They are not part of the rate. */
  undecided: number;
  /** Picks that were to decide, by a number fixed before the first; undefined where none was. */
  planned: number | undefined;
  /** Once so many picks have decided: their result. Later picks do not change it. */
  result: { wins: number; rate: number; interval: readonly [low: number, high: number] } | undefined;
  /** The judgments that the result counts, or would so far. */
  votes: readonly Judgment[];
}

/** A half of what a 95% interval leaves out. */
const TAIL = 0.025;
/** Halvings until the bound is exact to the last bits of a number near 1. */
const HALVINGS = 60;

/**
 * The exact 95% interval of a probability from so many successes in so many independent trials (Clopper and Pearson 1934). Holds
 * where the number of trials did not depend on what they gave.
 */
export function clopperPearson(successes: number, trials: number): [low: number, high: number] {
  return [lowest(successes, trials), 1 - lowest(trials - successes, trials)];
}

/** The probability under which so many successes and more have the chance {@link TAIL}. */
function lowest(successes: number, trials: number): number {
  if (successes === 0) return 0;
  let [low, high] = [0, 1];
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2;
    if (atLeast(successes, trials, middle) < TAIL) low = middle;
    else high = middle;
  }
  return low;
}

/** Chance of so many successes and more. */
function atLeast(successes: number, trials: number, probability: number): number {
  // Logarithms, because the terms of many trials are below the smallest number.
  let log = trials * Math.log1p(-probability);
  const odds = Math.log(probability) - Math.log1p(-probability);
  let sum = 0;
  for (let k = 0; k <= trials; k++) {
    if (k >= successes) sum += Math.exp(log);
    log += odds + Math.log((trials - k) / (k + 1));
  }
  return sum;
}

/** A row for each two models that were compared, the latest first; `planned` by key. */
export function winRates(judgments: readonly Judgment[], planned: ReadonlyMap<string, number>): WinRate[] {
  const comparisons = new Map<string, Comparison>();
  for (const judgment of judgments) {
    const found = isHeldOut(judgment.prompt) ? outcomeOf(judgment) : undefined;
    if (!found) continue;
    const { outcome, ...pairing } = found;
    const key = keyOf(pairing);
    const before = comparisons.get(key) ?? { pairing, votes: [] };
    before.votes.push({ judgment, outcome });
    // The comparison of the latest pick comes last.
    comparisons.delete(key);
    comparisons.set(key, before);
  }
  return [...comparisons].reverse().map(([key, comparison]) => rateOf(key, comparison, planned.get(key)));
}

/** With the model before, a comparison is known by the adapter alone. */
const keyOf = ({ adapter, against }: Pairing): string =>
  against === undefined ? adapter : `${adapter} | ${against}`;

type Outcome = 'win' | 'loss' | 'undecided';

interface Vote {
  judgment: Judgment;
  outcome: Outcome;
}

interface Comparison {
  pairing: Pairing;
  votes: Vote[];
}

function rateOf(key: string, { pairing, votes }: Comparison, planned: number | undefined): WinRate {
  const count = (list: readonly Vote[], wanted: Outcome) =>
    list.filter(({ outcome }) => outcome === wanted).length;
  const counted = votes.filter(({ outcome }) => outcome !== 'undecided').slice(0, planned);
  const wins = count(counted, 'win');
  const isComplete = planned !== undefined && counted.length === planned;
  return {
    ...pairing,
    key,
    wins: count(votes, 'win'),
    losses: count(votes, 'loss'),
    undecided: count(votes, 'undecided'),
    planned,
    result: isComplete ? { wins, rate: wins / planned, interval: clopperPearson(wins, planned) } : undefined,
    votes: counted.map(({ judgment }) => judgment),
  };
}

/** What a pick between two models says; undefined for every other judgment. */
function outcomeOf({ drafts, verdict }: Judgment): (Pairing & { outcome: Outcome }) | undefined {
  const [first, second] = drafts.map(({ source }) => source?.adapter);
  if (drafts.length !== 2 || first === second) return undefined;
  const now = placeOfFirst(first, second);
  const [adapter, against] = now === 0 ? [first, second] : [second, first];
  if (adapter === undefined) return undefined;
  const better = BETTER[verdict];
  const outcome = better === undefined ? 'undecided' : better === now ? 'win' : 'loss';
  return { adapter, against, outcome };
}

/** The place of the adapter whose wins are counted: the one that there is, or the later name of two. */
const placeOfFirst = (first: string | undefined, second: string | undefined): 0 | 1 =>
  second === undefined || (first !== undefined && first > second) ? 0 : 1;

/** The place that a verdict calls better. An edit says that neither was good enough as it stood. */
const BETTER: Readonly<Partial<Record<Judgment['verdict'], number>>> = { first: 0, second: 1 };
