/**
 * What all references share: input types, how a matrix is described, sums of arrays, and two scalar functions.
 *
 * The kernels are checked against the references in this folder: float64, row-major, on the CPU, written to be compared
 * with the formula. They import nothing from src/ except the packed batch, and speed does not matter. Gradients are named
 * `d` + the input; inputs are never written to.
 */

/** Anything readable as numbers: a Float64Array of these references, a Float32Array read back from a GPU, a list. */
export type Reals = ArrayLike<number>;

/** A row-major (rows, cols) matrix. */
export interface Matrix {
  rows: number;
  cols: number;
}

/** a + b, element by element. */
export function add(a: Reals, b: Reals): Float64Array {
  return Float64Array.from({ length: a.length }, (_, i) => a[i] + b[i]);
}

/** target += source, element by element. */
export function accumulate(target: Float64Array, source: Reals): void {
  for (let i = 0; i < target.length; i++) target[i] += source[i];
}

/** factor * a. */
export function scaled(a: Reals, factor: number): Float64Array {
  return Float64Array.from({ length: a.length }, (_, i) => factor * a[i]);
}

/** Sum over i of a[i] * b[i]. */
export function dot(a: Reals, b: Reals): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** Sums of values over the spans [offsets[s], offsets[s + 1]): of token log-probabilities, one number a sequence. */
export function segmentSums(values: Reals, offsets: Reals): Float64Array {
  const sums = new Float64Array(offsets.length - 1);
  for (let s = 0; s < sums.length; s++) {
    for (let r = offsets[s]; r < offsets[s + 1]; r++) sums[s] += values[r];
  }
  return sums;
}

/** 1 / (1 + e^−x), accurate at both ends. */
export function sigmoid(x: number): number {
  const e = Math.exp(-Math.abs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

/** log σ(x) = min(x, 0) − log(1 + e^−|x|). */
export function logSigmoid(x: number): number {
  return Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x)));
}

/** The arithmetic mean. */
export function mean(values: Reals): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}
