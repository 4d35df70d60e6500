/** Sums and means of plain numbers, added in order, so that the result is the same everywhere. */

/** The sum; 0 for no numbers. */
export function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i];
  return total;
}

/** The mean; NaN for no numbers. */
export function mean(values: ArrayLike<number>): number {
  return sum(values) / values.length;
}
