/** Operators of templates as in Python: arithmetic on ints and floats, comparisons, `in` and `~`. */
import { own } from '../base/lookup.ts';
import type { TemplateBudget } from './template-budget.ts';
import { percentText } from './template-format.ts';
import { keyOf } from './template-keys.ts';
import { asMarkup, isMarkup, likeSource, markup } from './template-markup.ts';
import { isRange } from './template-ranges.ts';
import { includes } from './template-search.ts';
import {
  entriesOf,
  float,
  type Int,
  int,
  intOf,
  isDict,
  isFloat,
  isGenerator,
  isList,
  isMissing,
  isPlainList,
  isShownAs,
  isText,
  isTuple,
  itemsOf,
  list,
  nameOf,
  numberOf,
  str,
  takeItems,
  text,
  textOf,
  truth,
  tuple,
  type Value,
} from './template-values.ts';

export type Operator = (a: Value, b: Value, budget: TemplateBudget) => Value;

/** Whether two values are equal in Python: a text never equals a number, and true equals 1. */
export function equals(a: Value, b: Value, budget: TemplateBudget): boolean {
  budget.charge(1);
  const [x, y] = [numberOf(a), numberOf(b)];
  // An int and a bigint compare exactly with floats.
  // biome-ignore lint/suspicious/noDoubleEquals: 2n and 2 are one int
  if (x !== undefined && y !== undefined) return x == y;
  if (a.type !== b.type) return false;
  if (isText(a)) {
    budget.text(Math.min(textOf(a).length, textOf(b).length));
    return a.value === b.value;
  }
  if (isShownAs(a) || isShownAs(b)) return areSame(a, b, budget);
  if (isList(a)) {
    const [left, right] = [itemsOf(a), itemsOf(b)];
    return left.length === right.length && left.every((each, i) => equals(each, right[i], budget));
  }
  if (!isDict(a)) return a.value === b.value;
  const [left, right] = [entriesOf(a), entriesOf(b)];
  if (left.size !== right.size) return false;
  return [...left].every(([key, each]) => {
    const other = right.get(key);
    return other !== undefined && equals(each, other, budget);
  });
}

/** Whether two values are equal if one has a type for which the interpreter uses lists, or is HTML. */
function areSame(a: Value, b: Value, budget: TemplateBudget): boolean {
  if (isText(a)) return a.value === b.value;
  if (isRange(a) && isRange(b)) return equals(list(itemsOf(a)), list(itemsOf(b)), budget);
  if (a === b || isGenerator(a) || isGenerator(b) || isShownAs(a) !== isShownAs(b)) return a === b;
  throw new Error('comparing views of dicts is not supported');
}

/** Negative if `a` comes first; NaN if the values are unordered. Throws for types that Python does not order. */
export function compare(a: Value, b: Value, budget: TemplateBudget): number {
  budget.charge(1);
  const [x, y] = [numberOf(a), numberOf(b)];
  // biome-ignore lint/suspicious/noDoubleEquals: 2n and 2 are one int
  if (x !== undefined && y !== undefined) return x < y ? -1 : x > y ? 1 : x == y ? 0 : Number.NaN;
  if (isText(a) && isText(b)) {
    budget.looks(Math.min(textOf(a).length, textOf(b).length));
    return compareTexts(textOf(a), textOf(b));
  }
  if (!(isPlainList(a) && isPlainList(b) && a.type === b.type)) {
    throw new TypeError(`'<' not supported between instances of '${nameOf(a)}' and '${nameOf(b)}'`);
  }
  const [left, right] = [itemsOf(a), itemsOf(b)];
  const at = left.findIndex((each, i) => i >= right.length || !equals(each, right[i], budget));
  if (at >= 0 && at < right.length) return compare(left[at], right[at], budget);
  return Math.sign(left.length - right.length);
}

/** Compares by code points; JavaScript compares UTF-16 units. */
export function compareTexts(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a[at] === b[at]) at++;
  if (at === length) return Math.sign(a.length - b.length);
  const [x, y] = [a, b].map((each) => rank(each.charCodeAt(at))) as [number, number];
  return x - y;
}

/** Surrogates rank after all other units, because they encode larger code points. */
function rank(unit: number): number {
  return unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit;
}

/** `item in container`. */
export function contains(item: Value, container: Value, budget: TemplateBudget): boolean {
  if (isText(container)) {
    if (!isText(item))
      throw new TypeError(`'in <string>' requires string as left operand, not ${nameOf(item)}`);
    return includes(textOf(container), textOf(item), budget);
  }
  budget.weigh(container);
  if (isDict(container)) {
    return entriesOf(container).has(keyOf(item));
  }
  if (isMissing(container)) return false;
  if (!isList(container)) throw new TypeError(`argument of type '${nameOf(container)}' is not iterable`);
  const at = itemsOf(container).findIndex((each) => equals(item, each, budget));
  takeItems(container, at < 0 ? undefined : at + 1);
  return at >= 0;
}

const ORDERS: Readonly<Record<string, (order: number) => boolean>> = {
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
};

const unsupported = (operator: string, a: Value, b: Value) =>
  new TypeError(`unsupported operand type(s) for ${operator}: '${nameOf(a)}' and '${nameOf(b)}'`);

interface Arithmetic {
  ints(a: bigint, b: bigint): Value;
  floats(a: number, b: number): Value;
}

const ARITHMETIC: Readonly<Record<string, Arithmetic>> = {
  '+': { ints: (a, b) => int(a + b), floats: (a, b) => float(a + b) },
  '-': { ints: (a, b) => int(a - b), floats: (a, b) => float(a - b) },
  '*': { ints: (a, b) => int(a * b), floats: (a, b) => float(a * b) },
  '/': {
    ints: (a, b) => float(exact(a) / nonzero(exact(b))),
    floats: (a, b) => float(a / nonzero(b)),
  },
  '//': {
    ints: (a, b) => int((a - floorMod(a, nonzero(b))) / b),
    floats: (a, b) => float(floorDivide(a, nonzero(b))),
  },
  '%': {
    ints: (a, b) => int(floorMod(a, nonzero(b))),
    floats: (a, b) => float(floatMod(a, nonzero(b))),
  },
  '**': {
    ints: (a, b) => (b < 0n ? float(power(exact(a), exact(b))) : int(bounded(a, b) ** b)),
    floats: (a, b) => float(power(a, b)),
  },
};

function nonzero<N extends Int>(value: N): N {
  if (Number(value) === 0) throw new RangeError('division by zero');
  return value;
}

function exact(value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new Error('cannot divide numbers that are this large');
  return number;
}

function floorMod(a: bigint, b: bigint): bigint {
  const rest = a % b;
  return rest !== 0n && rest < 0n !== b < 0n ? rest + b : rest;
}

function floatMod(a: number, b: number): number {
  const rest = a % b;
  if (rest === 0) return b < 0 ? -0 : 0;
  return rest < 0 !== b < 0 ? rest + b : rest;
}

function floorDivide(a: number, b: number): number {
  const rest = a % b;
  const isBelow = rest !== 0 && rest < 0 !== b < 0;
  const quotient = (a - rest) / b - (isBelow ? 1 : 0);
  if (quotient === 0) return Math.sign(a / b) < 0 || Object.is(a / b, -0) ? -0 : 0;
  const floor = Math.floor(quotient);
  return quotient - floor > 0.5 ? floor + 1 : floor;
}

function power(a: number, b: number): number {
  if (a === 0 && b < 0) throw new RangeError('zero cannot be raised to a negative power');
  const result = a ** b;
  if (Number.isNaN(result) || (Math.abs(result) === Infinity && Number.isFinite(a) && Number.isFinite(b))) {
    throw new RangeError('the power is not a finite number');
  }
  return result;
}

function bounded(a: bigint, b: bigint): bigint {
  if (BigInt(a.toString(2).length) * b > 50_000n) throw new Error('the power has too many bits');
  return a;
}

function arithmetic(operator: string, a: Value, b: Value, budget: TemplateBudget): Value {
  const { ints, floats } = own(ARITHMETIC, operator)!;
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x === undefined || y === undefined) throw unsupported(operator, a, b);
  for (const each of [a, b]) budget.weigh(each);
  const made = isFloat(a) || isFloat(b) ? floats(Number(x), Number(y)) : ints(BigInt(x), BigInt(y));
  budget.weigh(made);
  return made;
}

const add: Operator = (a, b, budget) => {
  if (isText(a) && isText(b)) {
    budget.text(textOf(a).length + textOf(b).length);
    if (!isMarkup(a) && !isMarkup(b)) return text(textOf(a) + textOf(b));
    return markup(textOf(asMarkup(a, budget)) + textOf(asMarkup(b, budget)));
  }
  if (!(isPlainList(a) && isPlainList(b) && a.type === b.type)) return arithmetic('+', a, b, budget);
  budget.elements(itemsOf(a).length + itemsOf(b).length);
  return (isTuple(a) ? tuple : list)([...itemsOf(a), ...itemsOf(b)]);
};

const multiply: Operator = (a, b, budget) => {
  const [times, sequence] = isText(a) || isPlainList(a) ? [intOf(b), a] : [intOf(a), b];
  if (times === undefined || !(isText(sequence) || isPlainList(sequence)))
    return arithmetic('*', a, b, budget);
  if (times >= 2n ** 63n) throw new RangeError('cannot repeat a value this often');
  const length = isText(sequence) ? textOf(sequence).length : itemsOf(sequence).length;
  const count = length === 0 ? 0 : Math.max(0, Number(times));
  if (isText(sequence)) {
    budget.text(length * count);
    return likeSource(text(textOf(sequence).repeat(count)), sequence);
  }
  budget.elements(length * count);
  return (isTuple(sequence) ? tuple : list)(Array.from({ length: count }, () => itemsOf(sequence)).flat());
};

const remainder: Operator = (a, b, budget) => {
  if (isMarkup(a)) throw new Error('formats from the filters "safe" and "escape" are not supported');
  if (isText(a)) return text(percentText(textOf(a), b, budget));
  return arithmetic('%', a, b, budget);
};

/** By their symbols; the interpreter handles `and` and `or`. */
export const OPERATORS: Readonly<Record<string, Operator>> = {
  '==': (a, b, budget) => truth(equals(a, b, budget)),
  '!=': (a, b, budget) => truth(!equals(a, b, budget)),
  in: (a, b, budget) => truth(contains(a, b, budget)),
  'not in': (a, b, budget) => truth(!contains(a, b, budget)),
  ...Object.fromEntries(
    Object.entries(ORDERS).map(([name, holds]): [string, Operator] => [
      name,
      (a, b, budget) => truth(holds(compare(a, b, budget))),
    ]),
  ),
  '~': (a, b, budget) => {
    const [x, y] = [str(a, budget), str(b, budget)];
    budget.text(x.length + y.length);
    return text(x + y);
  },
  '+': add,
  '*': multiply,
  '%': remainder,
  ...Object.fromEntries(
    ['-', '/', '//', '**'].map((name): [string, Operator] => [
      name,
      (a, b, budget) => arithmetic(name, a, b, budget),
    ]),
  ),
};

/** Operators of a chain: `a < b < c`. */
export const COMPARISONS: readonly string[] = ['==', '!=', '<', '<=', '>', '>=', 'in', 'not in'];

/** `-value` and `+value`. */
export function signed(sign: string, value: Value): Value {
  const number = own({ '-': -1n, '+': 1n }, sign);
  const whole = intOf(value);
  if (number === undefined || numberOf(value) === undefined) {
    throw new TypeError(`bad operand type for unary ${sign}: '${nameOf(value)}'`);
  }
  return whole === undefined
    ? float(number === 1n ? (value.value as number) : -(value.value as number))
    : int(number * BigInt(whole));
}
