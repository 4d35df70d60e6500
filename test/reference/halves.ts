/**
 * Rows of numbers in half their bytes: eleven significant bits, to the nearest, ties to even, for numbers of at least 2^−30
 * of their row's largest power of two. A row that contains an infinity or a NaN is lost as a whole.
 */
import type { Matrix, Reals } from './arrays.ts';

const SIGNIFICANT = 11;
const REACH = 30;
/** Float32's smallest normal number, 2^−126, and the exponent at which its infinities would begin. */
const SMALLEST = -126;

/** The values of x (rows, cols) after packing and unpacking, all of it float32. */
export function halved(x: Reals, { rows, cols }: Matrix): Float64Array {
  const y = new Float64Array(rows * cols);
  for (let row = 0; row < rows; row++) {
    const values = Array.from({ length: cols }, (_, i) => x[row * cols + i]);
    const top = exponentOf(values.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
    values.forEach((value, i) => {
      y[row * cols + i] = values.every(Number.isFinite) ? rounded(value, top) : Number.NaN;
    });
  }
  return y;
}

function rounded(value: number, top: number): number {
  const exponent = Math.max(exponentOf(Math.abs(value)), SMALLEST);
  const unit = 2 ** (exponent - SIGNIFICANT + 1);
  const steps = Math.abs(value) / unit;
  const below = Math.floor(steps);
  const nearest = steps - below === 0.5 ? below + (below % 2) : Math.round(steps);
  // The largest power of two has no next one to round up to.
  const magnitude = Math.min(nearest * unit, (2 - 2 ** (1 - SIGNIFICANT)) * 2 ** top);
  // The row's smallest power of two represents zero where the two have the same code.
  const reach = top - REACH;
  const vanishes = reach > SMALLEST - 1 && magnitude <= 2 ** reach;
  return Math.sign(value) * (vanishes ? 0 : magnitude);
}

/**
 * e of 2^e ≤ magnitude < 2^(e + 1); for zero and numbers below float32's normal ones, one less than the smallest normal
 * exponent.
 */
function exponentOf(magnitude: number): number {
  if (magnitude < 2 ** SMALLEST) return SMALLEST - 1;
  const guess = Math.floor(Math.log2(magnitude));
  return guess + Number(magnitude >= 2 ** (guess + 1)) - Number(magnitude < 2 ** guess);
}
