/** How often the model with an adapter was preferred to the model before, from picks between drafts of the two. */
import type { Judgment } from './preferences/judgment.ts';

export interface WinRate {
  adapter: string;
  wins: number;
  losses: number;
  /** Ties and both-bad: undecided. */
  undecided: number;
  /** Wins among the decided; undefined where none is. */
  rate: number | undefined;
  /** 95% interval of the rate: Wilson's score interval, which holds for few picks too. */
  interval: readonly [low: number, high: number];
}

/** Two-sided 95% quantile of the normal distribution. */
const Z = 1.959964;

/** Wilson's score interval of a share of successes (Wilson 1927). */
export function wilson(successes: number, trials: number): [number, number] {
  if (trials === 0) return [0, 1];
  const share = successes / trials;
  const center = share + Z ** 2 / (2 * trials);
  const spread = Z * Math.sqrt((share * (1 - share)) / trials + Z ** 2 / (4 * trials ** 2));
  const scale = 1 + Z ** 2 / trials;
  return [Math.max(0, (center - spread) / scale), Math.min(1, (center + spread) / scale)];
}

/** A row for each adapter that was compared with the model before it, the latest first. */
export function winRates(judgments: readonly Judgment[]): WinRate[] {
  const counts = new Map<string, { wins: number; losses: number; undecided: number }>();
  for (const { drafts, verdict } of [...judgments].reverse()) {
    const places = drafts.map(({ source }) => source?.adapter);
    const now = places.findIndex((adapter) => adapter !== undefined);
    const before = places.indexOf(undefined);
    const adapter = places[now];
    if (drafts.length !== 2 || adapter === undefined || before < 0) continue;
    const row = counts.get(adapter) ?? { wins: 0, losses: 0, undecided: 0 };
    counts.set(adapter, row);
    const better = OUTCOMES[verdict];
    if (better === undefined) row.undecided++;
    else if (better === now) row.wins++;
    else row.losses++;
  }
  return [...counts].map(([adapter, { wins, losses, undecided }]) => {
    const decided = wins + losses;
    const rate = decided > 0 ? wins / decided : undefined;
    return { adapter, wins, losses, undecided, rate, interval: wilson(wins, decided) };
  });
}

/** The place that a verdict calls better. An edit says that neither was good enough as it stood. */
const OUTCOMES: Readonly<Partial<Record<Judgment['verdict'], number>>> = { first: 0, second: 1 };
