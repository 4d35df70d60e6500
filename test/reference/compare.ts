/**
 * How two arrays are compared; random ones come from the test kit. Knows no test runner: a failed comparison throws an Error.
 */
import type { Reals } from './arrays.ts';

export { type Random, random } from '../../src/testing/random.ts';

/** |actual - expected| / |expected| in the Euclidean norm; |actual| itself when expected is all zero. */
export function relativeL2(actual: Reals, expected: Reals): number {
  requireSameLength(actual, expected);
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i] - expected[i]) ** 2;
    norm += expected[i] ** 2;
  }
  return Math.sqrt(norm > 0 ? difference / norm : difference);
}

/** The largest magnitude in an array; NaN if there is one, 0 for an empty array. */
export function maxAbs(values: Reals): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) return NaN;
    largest = Math.max(largest, Math.abs(values[i]));
  }
  return largest;
}

/** The largest |actual[i] - expected[i]|. Equal infinities differ by 0. */
export function maxAbsDifference(actual: Reals, expected: Reals): number {
  requireSameLength(actual, expected);
  return maxAbs(Float64Array.from({ length: expected.length }, (_, i) => difference(actual[i], expected[i])));
}

export interface Tolerance {
  /** Allowed |actual - expected| for every element, default 0. */
  absolute?: number;
  /** Allowed share of |expected| on top of `absolute`, default 0. */
  relative?: number;
  /** Allowed relative L2 distance of the whole arrays. */
  l2?: number;
  /** What is compared, for the message. */
  label?: string;
  /** Columns of a matrix: the message then names row and column. */
  cols?: number;
}

/**
 * Throws unless the arrays agree within the tolerance. With only `l2` given, elements are not checked one by one, but a
 * NaN or an infinity that is not expected still fails. The message counts the failures and shows the worst element.
 */
export function expectClose(actual: Reals, expected: Reals, tolerance: Tolerance): void {
  const label = tolerance.label ?? 'arrays';
  requireSameLength(actual, expected, label);
  const everyElement = tolerance.absolute !== undefined || tolerance.relative !== undefined;
  let failures = 0;
  let worst = -1;
  let worstExcess = 0;
  for (let i = 0; i < expected.length; i++) {
    const off = Math.abs(difference(actual[i], expected[i]));
    const allowed = everyElement
      ? (tolerance.absolute ?? 0) + (tolerance.relative ?? 0) * Math.abs(expected[i])
      : Infinity;
    const close = Number.isFinite(off) && (off === 0 || off <= allowed);
    if (!close) failures++;
    const excess = Number.isFinite(off) ? off - (everyElement ? allowed : 0) : Infinity;
    if (worst < 0 || excess > worstExcess) {
      worst = i;
      worstExcess = excess;
    }
  }
  const distance = relativeL2(actual, expected);
  const tooFar = tolerance.l2 !== undefined && !(distance <= tolerance.l2);
  if (failures === 0 && !tooFar) return;
  const { cols } = tolerance;
  const where = cols ? `${worst} (row ${Math.floor(worst / cols)}, column ${worst % cols})` : `${worst}`;
  const limit = tolerance.l2 === undefined ? '' : ` (allowed ${tolerance.l2})`;
  throw new Error(
    `${label}: ${failures} of ${expected.length} elements differ; relative L2 ${distance.toExponential(3)}${limit}; ` +
      `worst at ${where}: ${actual[worst]} instead of ${expected[worst]}`,
  );
}

function difference(actual: number, expected: number): number {
  return actual === expected ? 0 : actual - expected;
}

function requireSameLength(actual: Reals, expected: Reals, label = 'arrays'): void {
  if (actual.length !== expected.length) {
    throw new Error(`${label}: ${actual.length} elements instead of ${expected.length}`);
  }
}
