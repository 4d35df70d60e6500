/**
 * Compares numbers that a shader wrote with expected ones. Does not depend on a test runner or a device: a comparison
 * returns a verdict with a message, and each runner's entry makes a matcher of it.
 */

/** A list of numbers, typed or not. */
export type Numbers = ArrayLike<number>;

/**
 * Allowed difference of an element from its expected value. It is close if |actual − expected| ≤ atol + rtol·|expected|, or
 * if both are within `ulp` float32 numbers of each other. If none of the three is given: rtol 1.3e-6 and atol 1e-5, as in
 * `torch.testing.assert_close` for float32; exact if `expected` is an integer array. If some are given, the others are 0.
 */
export interface Closeness {
  /** Relative tolerance. */
  rtol?: number;
  /** Absolute tolerance. */
  atol?: number;
  /** Units in the last place of float32. */
  ulp?: number;
  /** Shape of the tensor: the message then shows indices by dimension. */
  shape?: readonly number[];
}

/** Whether numbers are close, with a message that shows where they are not. */
export interface Verdict {
  pass: boolean;
  message: string;
}

const FLOAT32 = { rtol: 1.3e-6, atol: 1e-5 };
const EXACT = { rtol: 0, atol: 0 };

/**
 * Compares element by element. The message counts the elements that differ and shows the first and the worst. A NaN is
 * never close, an infinity only to itself; different lengths fail.
 */
export function compareTensors(actual: Numbers, expected: Numbers, closeness: Closeness = {}): Verdict {
  if (actual.length !== expected.length)
    return { pass: false, message: `Expected ${expected.length} elements, got ${actual.length}.` };
  const { rtol, atol, ulp } = tolerances(expected, closeness);
  const differing: number[] = [];
  let worst = -1;
  let excess = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i], expected[i]];
    if (a === e) continue;
    const over = Math.abs(a - e) - (atol + rtol * Math.abs(e));
    // Not `over > 0`: NaN must differ.
    if (over <= 0 || ulpDistance(a, e) <= ulp) continue;
    differing.push(i);
    const rank = Number.isNaN(over) ? Number.POSITIVE_INFINITY : over;
    if (worst < 0 || rank > excess) [worst, excess] = [i, rank];
  }
  const within = `rtol ${rtol}, atol ${atol}, ulp ${ulp}`;
  if (differing.length === 0)
    return { pass: true, message: `All ${expected.length} elements are within ${within}.` };
  const tell = (i: number) => describe(i, actual[i], expected[i], closeness.shape);
  const first = differing[0];
  const lines = [`${differing.length} of ${expected.length} elements differ by more than ${within}.`];
  if (worst === first) lines.push(`  first and worst at ${tell(first)}`);
  else lines.push(`  first at ${tell(first)}`, `  worst at ${tell(worst)}`);
  return { pass: false, message: lines.join('\n') };
}

/** The same as an assertion: throws an Error with the message unless the numbers are close. */
export function assertCloseToTensor(actual: Numbers, expected: Numbers, closeness?: Closeness): void {
  const { pass, message } = compareTensors(actual, expected, closeness);
  if (!pass) throw new Error(message);
}

/** The number of float32 steps between two numbers; infinite for NaN or an infinity that is not equal. */
export function ulpDistance(a: number, b: number): number {
  if (!Number.isFinite(Math.fround(a)) || !Number.isFinite(Math.fround(b)))
    return a === b ? 0 : Number.POSITIVE_INFINITY;
  const [x, y] = new Int32Array(Float32Array.of(a, b).buffer);
  return Math.abs(ordered(x) - ordered(y));
}

/** Maps the bits of a float32 to an integer with the same order. */
function ordered(bits: number): number {
  return bits < 0 ? -(bits & 0x7fffffff) : bits;
}

function tolerances(expected: Numbers, { rtol, atol, ulp }: Closeness) {
  const given = rtol !== undefined || atol !== undefined || ulp !== undefined;
  const rest = given || isInteger(expected) ? EXACT : FLOAT32;
  return { rtol: rtol ?? rest.rtol, atol: atol ?? rest.atol, ulp: ulp ?? 0 };
}

function isInteger(numbers: Numbers): boolean {
  return ArrayBuffer.isView(numbers) && !(numbers instanceof Float32Array || numbers instanceof Float64Array);
}

function describe(index: number, actual: number, expected: number, shape?: readonly number[]): string {
  const place = shape && shape.length > 1 ? `${index} [${coordinates(index, shape).join(', ')}]` : `${index}`;
  const distance = ulpDistance(actual, expected);
  const ulps = Number.isFinite(distance) ? `, ${distance} ulp` : '';
  return `index ${place}: got ${actual}, expected ${expected} (off by ${Math.abs(actual - expected)}${ulps})`;
}

/** Row-major. */
function coordinates(index: number, shape: readonly number[]): number[] {
  const result: number[] = [];
  let rest = index;
  for (const size of [...shape].reverse()) {
    result.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return result;
}
