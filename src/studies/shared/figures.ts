/**
 * Formats numbers for pages and terminals.
 */
import type { Estimate } from '../../cli/statistics.ts';

/** With its standard error: `1.23 ± 0.04`. */
export function plusMinus({ mean, standardError }: Estimate): string {
  return `${number(mean)} ± ${number(standardError)}`;
}

/** Two decimals, or three significant digits for larger numbers. */
export function number(value: number): string {
  const digits =
    Math.abs(value) >= 1000 ? value.toExponential(1) : value.toFixed(Math.abs(value) >= 100 ? 0 : 2);
  return digits.replace('-', '−');
}
