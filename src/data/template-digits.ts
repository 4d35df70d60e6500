/**
 * Digits of numbers as in Python: computed from a float's exact value, with ties rounded to even. JavaScript's `toFixed`
 * rounds ties up.
 */
import { float, int, intOf, nameOf, numberOf, type Value } from './template-values.ts';

/** With this many digits every float is exact. */
const MOST_DIGITS = 400;

/** A finite float ≥ 0 as a fraction of integers. */
function exactly(value: number): [numerator: bigint, denominator: bigint] {
  let [size, power] = [value, 0n];
  while (!Number.isInteger(size)) {
    size *= 2;
    power++;
  }
  return [BigInt(size), 1n << power];
}

/** The nearest integer; ties round to even. */
function nearest(numerator: bigint, denominator: bigint): bigint {
  const down = numerator / denominator;
  const twice = 2n * (numerator - down * denominator);
  return twice > denominator || (twice === denominator && down % 2n === 1n) ? down + 1n : down;
}

/** The nearest integer to `value` · 10^`digits`. */
function scaledBy(value: number, digits: number): bigint {
  const [numerator, denominator] = exactly(value);
  const power = 10n ** BigInt(Math.abs(digits));
  return digits < 0 ? nearest(numerator, denominator * power) : nearest(numerator * power, denominator);
}

export function fixed(value: number, digits: number): string {
  const all = scaledBy(value, digits)
    .toString()
    .padStart(digits + 1, '0');
  return digits === 0 ? all : `${all.slice(0, -digits)}.${all.slice(-digits)}`;
}

/** The significant digits of a float, with one before the point, and the power of ten. */
function significant(value: number, digits: number): [digits: string, power: number] {
  if (value === 0) return ['0'.repeat(digits + 1), 0];
  const power = Number(value.toExponential().split('e')[1]);
  const all = scaledBy(value, digits - power).toString();
  return all.length > digits + 1 ? [all.slice(0, -1), power + 1] : [all, power];
}

const withPower = (digits: string, power: number) =>
  `${digits[0]}${digits.length > 1 ? `.${digits.slice(1)}` : ''}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;

export const exponential = (value: number, digits: number) => withPower(...significant(value, digits));

/** `keepsPoint`: without a format type, a float keeps its point and switches to an exponent one digit earlier. */
export function general(value: number, digits: number, keepsPoint: boolean): string {
  const [all, power] = significant(value, digits - 1);
  const plain = all.replace(/0+$/, '') || '0';
  if (power < -4 || power >= (keepsPoint ? digits - 1 : digits)) return withPower(plain, power);
  if (power < 0) return `0.${'0'.repeat(-power - 1)}${plain}`;
  const [whole, rest] = [plain.slice(0, power + 1).padEnd(power + 1, '0'), plain.slice(power + 1)];
  return rest === '' ? `${whole}${keepsPoint ? '.0' : ''}` : `${whole}.${rest}`;
}

/** `round(value, digits)`. */
export function rounded(value: Value, digits: number): Value {
  const whole = intOf(value);
  if (whole !== undefined) {
    if (digits >= 0) return int(BigInt(whole));
    const power = 10n ** BigInt(Math.min(-digits, MOST_DIGITS));
    const size = nearest(whole < 0 ? -BigInt(whole) : BigInt(whole), power) * power;
    return int(whole < 0 ? -size : size);
  }
  const number = numberOf(value);
  if (number === undefined) throw new TypeError(`type ${nameOf(value)} doesn't define __round__ method`);
  const size = Math.abs(Number(number));
  if (!Number.isFinite(size) || digits > MOST_DIGITS) return value;
  const made =
    digits < 0 ? Number(scaledBy(size, digits) * 10n ** BigInt(-digits)) : Number(fixed(size, digits));
  return float(Object.is(number, -0) || (number as number) < 0 ? -made : made);
}
