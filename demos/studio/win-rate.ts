/** How often the model with an adapter was preferred to the model before, from picks between drafts of the two. */
import type { Judgment } from './preferences/judgment.ts';

export interface WinRate {
  adapter: string;
  wins: number;
  losses: number;
  /** Ties, both-bad and edits: undecided. They are not part of the rate. */
  undecided: number;
  /** Picks that were to decide, by a number fixed before the first; undefined where none was. */
  planned: number | undefined;
  /** Once so many picks have decided: their result. Later picks do not change it. */
  result: { wins: number; rate: number; interval: readonly [low: number, high: number] } | undefined;
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

/** A row for each adapter that was compared with the model before it, the latest first; `planned` by the adapter's name. */
export function winRates(judgments: readonly Judgment[], planned: ReadonlyMap<string, number>): WinRate[] {
  const outcomes = new Map<string, Outcome[]>();
  for (const judgment of judgments) {
    const found = outcomeOf(judgment);
    if (!found) continue;
    const before = outcomes.get(found.adapter) ?? [];
    before.push(found.outcome);
    // The adapter of the latest pick comes last.
    outcomes.delete(found.adapter);
    outcomes.set(found.adapter, before);
  }
  return [...outcomes].reverse().map(([adapter, all]) => rateOf(adapter, all, planned.get(adapter)));
}

type Outcome = 'win' | 'loss' | 'undecided';

function rateOf(adapter: string, outcomes: readonly Outcome[], planned: number | undefined): WinRate {
  const count = (list: readonly Outcome[], wanted: Outcome) => list.filter((each) => each === wanted).length;
  const decided = outcomes.filter((outcome) => outcome !== 'undecided');
  const counted = decided.slice(0, planned);
  const wins = count(counted, 'win');
  const isComplete = planned !== undefined && counted.length === planned;
  return {
    adapter,
    wins: count(outcomes, 'win'),
    losses: count(outcomes, 'loss'),
    undecided: count(outcomes, 'undecided'),
    planned,
    result: isComplete ? { wins, rate: wins / planned, interval: clopperPearson(wins, planned) } : undefined,
  };
}

/** What a pick between the two says; undefined for every other judgment. */
function outcomeOf({ drafts, verdict }: Judgment): { adapter: string; outcome: Outcome } | undefined {
  const places = drafts.map(({ source }) => source?.adapter);
  const now = places.findIndex((adapter) => adapter !== undefined);
  const adapter = places[now];
  if (drafts.length !== 2 || adapter === undefined || !places.includes(undefined)) return undefined;
  const better = BETTER[verdict];
  if (better === undefined) return { adapter, outcome: 'undecided' };
  return { adapter, outcome: better === now ? 'win' : 'loss' };
}

/** The place that a verdict calls better. An edit says that neither was good enough as it stood. */
const BETTER: Readonly<Partial<Record<Judgment['verdict'], number>>> = { first: 0, second: 1 };
