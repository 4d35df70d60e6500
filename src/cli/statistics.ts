/**
 * Means of samples with their standard errors.
 */

export interface Estimate {
  mean: number;
  /** Of the mean. */
  standardError: number;
}

/** Mean of independent samples with its standard error, s/√n. */
export function estimate(samples: readonly number[]): Estimate {
  const n = samples.length;
  const mean = samples.reduce((sum, value) => sum + value, 0) / n;
  const squares = samples.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, standardError: n > 1 ? Math.sqrt(squares / (n - 1) / n) : 0 };
}

/** Standard error of the difference of two means, taken as independent. */
export function errorOfDifference(a: Estimate, b: Estimate): number {
  return Math.hypot(a.standardError, b.standardError);
}
