/**
 * Pearson's test of counts against probabilities. Cells with fewer than five expected draws are merged, as is usual, so
 * that the statistic follows the χ² distribution closely.
 */
import { expect } from 'chai';

const FEWEST = 5;

export interface ChiSquare {
  statistic: number;
  degreesOfFreedom: number;
}

/** Counts of draws, and the probability of each outcome; they sum to 1. */
export function chiSquare(counts: ArrayLike<number>, probabilities: ArrayLike<number>): ChiSquare {
  const total = Array.from(counts).reduce((a, b) => a + b, 0);
  const cells: { count: number; expected: number }[] = [];
  const rest = { count: 0, expected: 0 };
  Array.from(counts).forEach((count, i) => {
    const expected = total * probabilities[i];
    if (expected >= FEWEST) cells.push({ count, expected });
    else {
      rest.count += count;
      rest.expected += expected;
    }
  });
  // Too few for a separate cell: they are added to the smallest one.
  const smallest = cells.reduce((a, b) => (b.expected < a.expected ? b : a));
  const into = rest.expected >= FEWEST ? rest : smallest;
  if (into === rest) cells.push(rest);
  else {
    into.count += rest.count;
    into.expected += rest.expected;
  }
  const statistic = cells.reduce((sum, { count, expected }) => sum + (count - expected) ** 2 / expected, 0);
  return { statistic, degreesOfFreedom: cells.length - 1 };
}

/**
 * The value that the statistic exceeds by chance once in a thousand times (Wilson and Hilferty 1931; within 0.4 % from 3
 * degrees of freedom on).
 */
export function chiSquareBound(degreesOfFreedom: number): number {
  const z = 3.0902; // of the normal distribution, one-sided
  const spread = 2 / (9 * degreesOfFreedom);
  return degreesOfFreedom * (1 - spread + z * Math.sqrt(spread)) ** 3;
}

/** Expects that the draws are consistent with these probabilities. */
export function belowChiSquareBound({ statistic, degreesOfFreedom }: ChiSquare): void {
  expect(statistic, `${degreesOfFreedom} degrees of freedom`).to.be.below(chiSquareBound(degreesOfFreedom));
}
