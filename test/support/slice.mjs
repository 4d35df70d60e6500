/**
 * Which of several long tests run: one per day in turn, so that a suite stays short and each of them runs regularly.
 * `WEBALIGN_SLICE=all` runs all of them, a number the one at that index. The others are reported as skipped.
 */

const DAY = 86_400_000;

/**
 * Whether the test at index `place` of `of` tests runs now.
 *
 * @param {number} place
 * @param {number} of
 */
export function isItsTurn(place, of) {
  const chosen = process.env.WEBALIGN_SLICE ?? `${Math.floor(Date.now() / DAY)}`;
  return chosen === 'all' || Number(chosen) % of === place;
}
