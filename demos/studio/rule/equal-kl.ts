/** Two ways of learning compared at the same distance from the model before: more reward is easy to have by going further. */

/** Where a run stands after so many picks. */
export interface Point {
  picks: number;
  /** Optimizer steps, where all picks come before the first one. */
  step?: number;
  /** KL(π ‖ π_ref) in nats a story. */
  kl: number;
  /** Mean score of a story, and its standard error. */
  score: number;
  standardError: number;
}

/** The score of a run at a KL, on straight lines between its points; undefined beyond its farthest one. */
export function scoreAt(points: readonly Point[], kl: number): number | undefined {
  const sorted = points.toSorted((a, b) => a.kl - b.kl);
  const after = sorted.findIndex((point) => point.kl >= kl);
  const [from, to] = [sorted[after - 1], sorted[after]];
  if (!to) return undefined;
  if (!from) return to.score;
  const share = (kl - from.kl) / (to.kl - from.kl);
  return from.score + share * (to.score - from.score);
}

/** The KL that both runs reach, and what the first scores there beyond the second. */
export function atEqualKl(a: readonly Point[], b: readonly Point[]): { kl: number; difference: number } {
  const farthest = (points: readonly Point[]) => Math.max(...points.map(({ kl }) => kl));
  const kl = Math.min(farthest(a), farthest(b));
  return { kl, difference: (scoreAt(a, kl) ?? Number.NaN) - (scoreAt(b, kl) ?? Number.NaN) };
}
