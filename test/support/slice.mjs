/**
 * Which of several long tests run: one a day in turn, so that all of a suite stays short and none is forgotten.
 * `WEBALIGN_SLICE=all` runs each of them, a number the one in that place. Those that are left out are reported as skipped.
 */

const DAY = 86_400_000;

/**
 * Whether the test in this place, of so many, has its turn.
 *
 * @param {number} place
 * @param {number} of
 */
export function isItsTurn(place, of) {
  const chosen = process.env.WEBALIGN_SLICE ?? `${Math.floor(Date.now() / DAY)}`;
  return chosen === 'all' || Number(chosen) % of === place;
}
