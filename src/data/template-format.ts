/** Python's `format(value, spec)`, and the functions based on it: `'{}'.format(…)` and `'%s' % …`. */
import { own } from '../base/lookup.ts';
import type { TemplateBudget } from './template-budget.ts';
import { exponential, fixed, general } from './template-digits.ts';
import { floatText } from './template-strings.ts';
import {
  entriesOf,
  float,
  type Int,
  int,
  isDict,
  isFloat,
  isList,
  isText,
  isTuple,
  itemsOf,
  nameOf,
  numberOf,
  repr,
  str,
  text,
  textOf,
  type Value,
} from './template-values.ts';

/** Maximum width and precision of a format. */
const MOST_WIDTH = 10_000;
const MOST_PRECISION = 400;

/** A parsed format specification of Python. */
interface Spec {
  fill: string;
  align: string;
  sign: string;
  /** Whether to write a prefix such as `0x`. */
  isMarked: boolean;
  width: number;
  /** Separator of groups of digits. */
  grouping: string;
  precision: number | undefined;
  type: string;
}

const SPEC = /^(?:(.)?([<>=^]))?([-+ ]?)(#?)(0?)(\d*)([,_]?)(?:\.(\d+))?([bcdeEfFgGnosxX%]?)$/su;

function specOf(written: string): Spec {
  const found = SPEC.exec(written);
  if (!found) throw new Error(`the format ${JSON.stringify(written)} is not supported`);
  const [, fill, align = '', sign = '', mark, zero, width, grouping = '', precision, type = ''] = found;
  if ('cn'.includes(type) && type !== '') throw new Error(`the format type "${type}" is not supported`);
  return {
    fill: fill ?? (zero ? '0' : ' '),
    align: align || (zero ? '=' : ''),
    sign,
    isMarked: mark === '#',
    width: bounded(width, MOST_WIDTH) ?? 0,
    grouping,
    precision: bounded(precision, MOST_PRECISION),
    type,
  };
}

function bounded(written: string | undefined, most: number): number | undefined {
  if (!written) return undefined;
  if (Number(written) <= most) return Number(written);
  throw new Error(`a format of ${written} characters is not supported; the limit is ${most}`);
}

/** `format(value, written)`. */
export function formatted(value: Value, written: string, budget: TemplateBudget): string {
  if (written === '') return str(value, budget);
  const spec = specOf(written);
  const made = isText(value) ? paddedText(textOf(value), spec) : paddedNumber(value, spec);
  budget.text(made.length);
  return made;
}

function paddedText(value: string, spec: Spec): string {
  const { type, sign, grouping, isMarked, align, precision, fill, width } = spec;
  const isZeroed = align === '=' && fill === '0';
  if (!'s'.includes(type) || sign || grouping || isMarked || (align === '=' && !isZeroed))
    throw new TypeError(`this format is not valid for a text`);
  const points = Array.from(value);
  const cut = precision === undefined ? points : points.slice(0, precision);
  return padded('', cut.join(''), { fill, width, align: isZeroed ? '<' : align || '<' });
}

const INTEGERS: Readonly<Record<string, { base: number; mark: string }>> = {
  b: { base: 2, mark: '0b' },
  o: { base: 8, mark: '0o' },
  d: { base: 10, mark: '' },
  x: { base: 16, mark: '0x' },
  X: { base: 16, mark: '0X' },
};

function paddedNumber(value: Value, spec: Spec): string {
  const number = numberOf(value);
  if (number === undefined || spec.type === 's')
    throw new TypeError(`this format is not valid for a ${nameOf(value)}`);
  const isInteger = own(INTEGERS, spec.type || (isFloat(value) ? 'g' : 'd')) !== undefined;
  if (isInteger && isFloat(value)) throw new TypeError(`a float cannot be formatted as an int`);
  if (isInteger && spec.precision !== undefined)
    throw new TypeError('a format of an int cannot have a precision');
  const isNegative = number < 0 || Object.is(number, -0);
  const sign = isNegative ? '-' : spec.sign.replace('-', '');
  const size = isNegative ? -number : number;
  const [mark, body] = isInteger ? integerDigits(BigInt(size), spec) : ['', floatDigits(Number(size), spec)];
  const head = sign + mark;
  return padded(head, grouped(body, spec, head.length), { ...spec, align: spec.align || '>' });
}

function integerDigits(value: bigint, { type, isMarked }: Spec): [mark: string, digits: string] {
  const { base, mark } = own(INTEGERS, type || 'd')!;
  const digits = value.toString(base);
  return [isMarked ? mark : '', type === 'X' ? digits.toUpperCase() : digits];
}

function floatDigits(value: number, { type, precision, isMarked }: Spec): string {
  if (isMarked) throw new Error('the flag "#" is not supported for a float');
  const kind = type === '%' ? 'f' : type.toLowerCase();
  const digits = own(DIGITS, kind)!;
  const made = Number.isFinite(value)
    ? digits(type === '%' ? value * 100 : value, precision)
    : floatText(value);
  return (type === type.toLowerCase() ? made : made.toUpperCase()) + (type === '%' ? '%' : '');
}

type FloatDigits = (value: number, precision: number | undefined) => string;

const DIGITS: Readonly<Record<string, FloatDigits>> = {
  f: (value, precision = 6) => fixed(value, precision),
  e: (value, precision = 6) => exponential(value, precision),
  g: (value, precision = 6) => general(value, Math.max(1, precision), false),
  '': (value, precision) =>
    precision === undefined ? floatText(value) : general(value, Math.max(1, precision), true),
};

/** Adds separators between groups of digits, and leading zeros within the groups if requested. */
function grouped(body: string, { grouping, type, align, fill, width }: Spec, before: number): string {
  if (grouping === '') return body;
  const size = type !== '' && 'boxX'.includes(type) ? 4 : 3;
  if (size === 4 && grouping === ',') throw new TypeError('"," is only valid with base 10');
  const [whole = '', rest = ''] =
    (size === 4 ? /^([\da-fA-F]*)(.*)$/ : /^(\d*)(.*)$/).exec(body)?.slice(1) ?? [];
  if (whole === '') return body;
  const put = (digits: string) => digits.replace(new RegExp(`(?!^)(?=(?:.{${size}})+$)`, 'gs'), grouping);
  let digits = whole;
  if (align === '=' && fill === '0')
    while (before + put(digits).length + rest.length < width) digits = `0${digits}`;
  return put(digits) + rest;
}

function padded(
  head: string,
  body: string,
  { fill, width, align }: Pick<Spec, 'fill' | 'width' | 'align'>,
): string {
  const count = Math.max(0, width - Array.from(head + body).length);
  const [left, middle] = own(
    { '<': [0, 0], '>': [count, 0], '=': [0, count], '^': [count >> 1, 0] },
    align,
  ) ?? [0, 0];
  const put = (length: number) => fill.repeat(length);
  return put(left) + head + put(middle) + body + put(count - left - middle);
}

const FIELD = /\{\{|\}\}|\{([^{}!:]*)(?:!([rs]))?(?::([^{}]*))?\}|[{}]/g;

/** `template.format(…)`. Attributes and items of arguments, and fields within fields, are not supported. */
export function formatText(
  template: string,
  args: readonly Value[],
  named: ReadonlyMap<string, Value>,
  budget: TemplateBudget,
): string {
  let next = 0;
  const argument = (name: string): Value => {
    if (/[.[]/.test(name)) throw new Error(`the format field ${JSON.stringify(name)} is not supported`);
    const found = name === '' ? args[next++] : /^\d+$/.test(name) ? args[Number(name)] : named.get(name);
    if (found === undefined) throw new RangeError(`format() lacks the argument ${JSON.stringify(name)}`);
    return found;
  };
  if (/\{\d/.test(template) && /\{[!:}]/.test(template.replaceAll('{{', '')))
    throw new RangeError('cannot mix numbered and unnumbered format fields');
  return template.replace(FIELD, (all, name: string | undefined, conversion?: string, spec = '') => {
    if (all === '{{' || all === '}}') return all[0];
    if (name === undefined) throw new RangeError(`single "${all}" in a format string`);
    const value = argument(name);
    const shown = own({ r: repr, s: str }, conversion ?? '');
    const made = formatted(shown ? text(shown(value, budget)) : value, spec, budget);
    budget.text(made.length);
    return made;
  });
}

const PERCENT = /%(?:\(([^()]*)\))?([-+ #0]*)(\*|\d*)(?:\.(\*|\d*))?[hlL]?([\s\S]?)/g;

/** `template % given`. */
export function percentText(template: string, given: Value, budget: TemplateBudget): string {
  const items = isTuple(given) ? itemsOf(given) : [given];
  let next = 0;
  let isNamed = false;
  const made = template.replace(
    PERCENT,
    (all: string, name: string | undefined, flags: string, width, precision, type) => {
      if (width === '*' || precision === '*') throw new Error('the width "*" is not supported');
      if (type === '%') {
        if (all === '%%') return '%';
        throw new Error(`the format ${JSON.stringify(all)} is not supported`);
      }
      if (name !== undefined) {
        isNamed = true;
        const found = isDict(given) ? entriesOf(given).get(name) : undefined;
        if (found === undefined) throw new TypeError(`the format lacks ${JSON.stringify(name)}`);
        return percentPart(found, flags, width, precision, type, budget);
      }
      const value = items[next++];
      if (value === undefined) throw new TypeError('not enough arguments for format string');
      return percentPart(value, flags, width, precision, type, budget);
    },
  );
  const isMapping = (isDict(given) || isList(given)) && !isTuple(given);
  if (!isNamed && !isMapping && next < items.length)
    throw new TypeError('not all arguments converted during string formatting');
  budget.text(made.length);
  return made;
}

function percentPart(
  value: Value,
  flags: string,
  width: string,
  precision: string | undefined,
  type: string,
  budget: TemplateBudget,
): string {
  const cut = precision === undefined ? '' : `.${precision || '0'}`;
  const align = flags.includes('-') ? '<' : '';
  if ('sra'.includes(type) && type !== '') {
    if (type === 'a') throw new Error('the format "%a" is not supported');
    const shown = type === 's' ? str(value, budget) : repr(value, budget);
    return formatted(text(shown), `${align || '>'}${width}${cut}`, budget);
  }
  const known =
    own({ d: 'd', i: 'd', u: 'd', x: 'x', X: 'X', o: 'o' }, type) ?? ('eEfFgG'.includes(type) ? type : '');
  const number = numberOf(value);
  if (known === '') throw new Error(`the format "%${type}" is not supported`);
  if (number === undefined)
    throw new TypeError(`%${type} format: a number is required, not ${nameOf(value)}`);
  const isWhole = 'doxX'.includes(known);
  if (isWhole && cut) throw new Error('a precision for an int is not supported');
  if ('oxX'.includes(known) && isFloat(value))
    throw new TypeError(`%${type} format: an integer is required, not float`);
  const sign = flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
  const zero = flags.includes('0') && !align ? '0' : '';
  const mark = flags.includes('#') ? '#' : '';
  const given = isWhole ? int(wholeOf(number)) : float(Number(number));
  return formatted(given, `${align}${sign}${mark}${zero}${width}${cut}${known}`, budget);
}

function wholeOf(number: Int): bigint {
  if (typeof number === 'number' && !Number.isFinite(number))
    throw new RangeError(`cannot convert ${number} to an integer`);
  return BigInt(typeof number === 'number' ? Math.trunc(number) : number);
}
