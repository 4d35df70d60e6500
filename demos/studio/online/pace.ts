/** How fast a person picks. */

/** Milliseconds between two picks after which the person was away. */
const AWAY = 120_000;

/** Picks a minute while the person was there; undefined with fewer than two. `times` are milliseconds, in order. */
export function picksPerMinute(times: readonly number[]): number | undefined {
  const gaps = times.slice(1).map((time, i) => time - times[i]);
  const there = gaps.filter((gap) => gap < AWAY);
  const sum = there.reduce((total, gap) => total + gap, 0);
  return sum > 0 ? (60_000 * there.length) / sum : undefined;
}
