/** Filters of templates that return numbers. */
import { own } from '../base/lookup.ts';
import { asciiDigits, pythonStrip } from './python-text.ts';
import type { TemplateBudget } from './template-budget.ts';
import { rounded } from './template-digits.ts';
import type { Filter } from './template-list-filters.ts';
import { bind } from './template-texts.ts';
import {
  float,
  int,
  intOf,
  isFloat,
  isMissing,
  isText,
  nameOf,
  numberOf,
  text,
  textOf,
  type Value,
} from './template-values.ts';

const FRACTION = /^[+-]?(?:\d+(?:_\d+)*(?:\.(?:\d+(?:_\d+)*)?)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+(?:_\d+)*)?$/i;
/** Python's limit on the digits of an int that is parsed from text. */
const MOST_DIGITS = 4300;
const SPECIAL = /^([+-]?)(inf(?:inity)?|nan)$/i;

function parsedFloat(value: string): number | undefined {
  const plain = value.replaceAll('_', '');
  if (FRACTION.test(value)) return Number(plain);
  const [, sign, name = ''] = SPECIAL.exec(value) ?? [];
  if (sign === undefined) return undefined;
  const size = name.toLowerCase() === 'nan' ? Number.NaN : Infinity;
  return sign === '-' ? -size : size;
}

const PREFIXES: Readonly<Record<string, number>> = { b: 2, o: 8, x: 16 };
const BASED = /^([+-]?)(?:0([box])_?)?([\da-z]+(?:_[\da-z]+)*)$/i;

/** `int(value, base)`; undefined if the text is not such a number. */
function parsedInt(value: string, base: number): bigint | undefined {
  if (!(base === 0 || (base >= 2 && base <= 36)))
    throw new RangeError('int() base must be >= 2 and <= 36, or 0');
  const [, sign, prefix, written = ''] = BASED.exec(value) ?? [];
  if (sign === undefined) return undefined;
  const named = prefix === undefined ? undefined : own(PREFIXES, prefix.toLowerCase());
  if (named === undefined || (base !== 0 && base !== named))
    return digitsIn(`${prefix === undefined ? '' : `0${prefix}`}${written}`, base, sign);
  return digitsIn(written, named, sign);
}

function digitsIn(written: string, base: number, sign: string): bigint | undefined {
  const digits = written.replaceAll('_', '').toLowerCase();
  if (digits.length > MOST_DIGITS)
    throw new Error(`an int of more than ${MOST_DIGITS} digits is not supported`);
  // Without a base, only zero may have leading zeros.
  if (base === 0 && /^0+[1-9]/.test(digits)) return undefined;
  const by = base === 0 ? 10 : base;
  let number = 0n;
  for (const digit of digits) {
    const value = Number.parseInt(digit, 36);
    if (value >= by) return undefined;
    number = number * BigInt(by) + BigInt(value);
  }
  return sign === '-' ? -number : number;
}

/** Normalizes a text for parsing a number: strips white space and converts digits to ASCII. */
function numeral(value: Value, budget: TemplateBudget): string {
  budget.looks(textOf(value).length);
  return asciiDigits(pythonStrip(textOf(value), 'both'));
}

const toInt: Filter = (value, args, budget) => {
  const [fallback = int(0), base = int(10)] = bind(args, 'int', 'default', 'base');
  if (isMissing(value)) throw new Error('cannot convert an undefined value to a number');
  const whole = isText(value) ? parsedInt(numeral(value, budget), Number(intOf(base))) : intOf(value);
  if (whole !== undefined) return int(BigInt(whole));
  const number = isText(value)
    ? parsedFloat(numeral(value, budget))
    : (numberOf(value) as number | undefined);
  if (number === undefined || Number.isNaN(number)) return fallback;
  if (Number.isFinite(number)) return int(BigInt(Math.trunc(number)));
  if (isText(value)) return fallback;
  throw new RangeError(`cannot convert ${number} to an integer`);
};

const toFloat: Filter = (value, args, budget) => {
  const [fallback = float(0)] = bind(args, 'float', 'default');
  if (isMissing(value)) throw new Error('cannot convert an undefined value to a number');
  const number = isText(value) ? parsedFloat(numeral(value, budget)) : numberOf(value);
  return number === undefined ? fallback : float(Number(number));
};

const round: Filter = (value, args) => {
  const [precision = int(0), method = text('common')] = bind(args, 'round', 'precision', 'method');
  const [digits, by] = [Number(intOf(precision)), ROUNDINGS.get(textOf(method))];
  if (Number.isNaN(digits) || !by) throw new TypeError('round() expects a precision and a method');
  return by(value, digits);
};

const abs: Filter = (value) => {
  const number = numberOf(value);
  if (number === undefined) throw new TypeError(`bad operand type for abs(): '${nameOf(value)}'`);
  if (isFloat(value)) return float(Math.abs(Number(number)));
  return int(number < 0 ? -BigInt(number) : BigInt(number));
};

const scaledBy =
  (change: (value: number) => number) =>
  (value: Value, digits: number): Value => {
    const number = numberOf(value);
    if (number === undefined) throw new TypeError(`cannot round a ${nameOf(value)}`);
    const power = 10 ** digits;
    const whole = change(Number(number) * power);
    if (!Number.isFinite(whole)) throw new RangeError('cannot round a value that is not finite to an int');
    // Python's result is an int here, which has no −0.
    return float((whole + 0) / power);
  };

const ROUNDINGS: ReadonlyMap<string, (value: Value, digits: number) => Value> = new Map([
  ['common', rounded],
  ['ceil', scaledBy(Math.ceil)],
  ['floor', scaledBy(Math.floor)],
]);

/** By their names in Jinja. */
export const NUMBER_FILTERS: Readonly<Record<string, Filter>> = { int: toInt, float: toFloat, round, abs };
