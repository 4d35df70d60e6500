/**
 * Filters of templates that the interpreter has otherwise than Jinja, or at a cost that it does not count. The others are the
 * interpreter's; what it lacks is refused.
 */
import { own } from '../base/lookup.ts';
import type { TemplateBudget } from './template-budget.ts';
import { toJson } from './template-json.ts';
import { atPath, bind, capitalized, isOn, linesOf, replaced, stripped } from './template-members.ts';
import { compare, equals } from './template-operators.ts';
import { TESTS, type Test } from './template-tests.ts';
import {
  entriesOf,
  float,
  generator,
  int,
  intOf,
  isDict,
  isList,
  isMissing,
  isNone,
  isText,
  isTrue,
  itemsOf,
  iterate,
  list,
  missing,
  nameOf,
  numberOf,
  str,
  text,
  textOf,
  tuple,
  type Value,
} from './template-values.ts';

/** `apply`: another filter, by its name. */
export type Filter = (
  value: Value,
  args: Value[],
  budget: TemplateBudget,
  apply: (name: string, value: Value, args: Value[]) => Value,
) => Value;

const WHOLE = /^\s*[+-]?\d+(?:_\d+)*\s*$/;
const FRACTION = /^\s*[+-]?(?:\d+(?:_\d+)*(?:\.(?:\d+(?:_\d+)*)?)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+)?\s*$/i;
/** As in Python: digits of an int that is read out of a text. */
const MOST_DIGITS = 4300;
const SPECIAL = /^\s*([+-]?)(inf(?:inity)?|nan)\s*$/i;

function parsedFloat(value: string): number | undefined {
  const plain = value.replaceAll('_', '');
  if (FRACTION.test(value)) return Number(plain);
  const [, sign, name = ''] = SPECIAL.exec(value) ?? [];
  if (sign === undefined) return undefined;
  const size = name.toLowerCase() === 'nan' ? Number.NaN : Infinity;
  return sign === '-' ? -size : size;
}

function truncated(value: number): Value {
  if (!Number.isFinite(value)) throw new RangeError(`cannot convert ${value} to an integer`);
  return int(BigInt(Math.trunc(value)));
}

const toInt: Filter = (value, args, budget) => {
  const [fallback = int(0), base] = bind(args, 'int', 'default', 'base');
  if (base !== undefined) throw new Error('it reads a number by a base');
  if (isMissing(value)) throw new Error('it makes a number of what is undefined');
  const whole = intOf(value);
  if (whole !== undefined) return int(BigInt(whole));
  if (isText(value)) budget.looks(textOf(value).length);
  const number = isText(value) ? parsedFloat(textOf(value)) : (numberOf(value) as number | undefined);
  if (isText(value) && WHOLE.test(textOf(value))) {
    const digits = textOf(value).replaceAll('_', '').trim().replace(/^\+/, '');
    if (digits.length > MOST_DIGITS) throw new Error(`it reads an int of more than ${MOST_DIGITS} digits`);
    return int(BigInt(digits));
  }
  if (number === undefined || (isText(value) && !Number.isFinite(number))) return fallback;
  return truncated(number);
};

const toFloat: Filter = (value, args, budget) => {
  const [fallback = float(0)] = bind(args, 'float', 'default');
  if (isMissing(value)) throw new Error('it makes a number of what is undefined');
  if (isText(value)) budget.looks(textOf(value).length);
  const number = isText(value) ? parsedFloat(textOf(value)) : numberOf(value);
  return number === undefined ? fallback : float(Number(number));
};

function size(value: Value, budget: TemplateBudget): Value {
  if (isText(value)) {
    budget.weigh(value);
    let count = 0;
    for (const _ of textOf(value)) count++;
    return int(count);
  }
  if (isList(value)) return int(itemsOf(value).length);
  if (isDict(value)) return int(entriesOf(value).size);
  if (isMissing(value)) return int(0);
  throw new TypeError(`object of type '${nameOf(value)}' has no len()`);
}

const join: Filter = (value, args, budget) => {
  const [separator, path] = bind(args, 'join', 'd', 'attribute');
  const by = separator ? str(separator, budget) : '';
  const found = iterate(value, budget).map((each) => (path ? atPath(each, path, budget) : each));
  const parts = found.map((each) => str(each, budget));
  budget.text(parts.reduce((length, part) => length + part.length + by.length, 0));
  return text(parts.join(by));
};

/** Without those that come again, in any case of letters. */
const unique: Filter = (value, args, budget) => {
  const [sensitive, path] = bind(args, 'unique', 'case_sensitive', 'attribute');
  const seen: Value[] = [];
  const kept = iterate(value, budget).filter((each) => {
    const found = path ? atPath(each, path, budget) : each;
    if (found.type === 'ArrayValue' || isDict(found))
      throw new TypeError(`unhashable type: ${nameOf(found)}`);
    const key = isText(found) && !isOn(sensitive) ? text(textOf(found).toLowerCase()) : found;
    if (seen.some((other) => equals(key, other, budget))) return false;
    seen.push(key);
    return true;
  });
  return generator(kept);
};

const indent: Filter = (value, args, budget) => {
  const [width, first, blank] = bind(args, 'indent', 'width', 'first', 'blank');
  if (!isText(value)) throw new TypeError(`it indents a ${nameOf(value)}`);
  const by = width && isText(width) ? textOf(width) : ' '.repeat(spaces(width, budget));
  const lines = linesOf(`${textOf(value)}\n`, budget);
  budget.text(lines.reduce((length, line) => length + line.length + by.length + 1, 0));
  const [head = '', ...rest] = lines;
  const made = rest.map((line) => `\n${line !== '' || isOn(blank) ? by : ''}${line}`);
  return text((isOn(first) ? by : '') + head + made.join(''));
};

function spaces(width: Value | undefined, budget: TemplateBudget): number {
  const count = width ? Math.max(0, Number(intOf(width))) : 4;
  budget.text(count);
  return count;
}

/** Words of the filter `title`: its capitals follow white space, a dash or an opening bracket. */
const titled = (value: string) =>
  value
    .split(/([-\s({[<]+)/)
    .map(capitalized)
    .join('');

const map: Filter = (value, args, budget, apply) => {
  const [filter, ...more] = args;
  const items = iterate(value, budget);
  if (filter === undefined) throw new TypeError('map requires a filter argument');
  if (filter.type !== 'KeywordArgumentsValue') {
    return generator(items.map((each) => apply(str(filter, budget), each, more)));
  }
  const [path, fallback] = bind([filter], 'map', 'attribute', 'default');
  if (!path) throw new TypeError('map requires a filter argument');
  return generator(
    items.map((each) => {
      const found = atPath(each, path, budget);
      return isMissing(found) ? (fallback ?? found) : found;
    }),
  );
};

/** `select`, `reject` and those by an attribute. */
const selecting =
  (keeps: boolean, byAttribute: boolean): Filter =>
  (value, args, budget) => {
    const [path, [name, ...more]] = byAttribute ? [args[0], args.slice(1)] : [undefined, args];
    if (byAttribute && !path) throw new TypeError('it selects by no attribute');
    const test: Test = name ? testOf(str(name, budget)) : isTrue;
    const kept = iterate(value, budget).filter((each) => {
      const found = path ? atPath(each, path, budget) : each;
      return test(found, more, budget) === keeps;
    });
    return generator(kept);
  };

function testOf(name: string): Test {
  const test = own(TESTS, name);
  if (!test) throw new Error(`it tests by "${name}"`);
  return test;
}

const made =
  (change: (value: string) => string): Filter =>
  (value, _, budget) => {
    const shown = str(value, budget);
    budget.text(shown.length);
    return text(change(shown));
  };

/** What a list is sorted by: small letters, unless their case counts. */
function sortKey(value: Value, isSensitive: boolean, budget: TemplateBudget): Value {
  if (isSensitive || !isText(value)) return value;
  budget.weigh(value);
  return text(textOf(value).toLowerCase());
}

/** The items in the order of their keys; where it is turned around, those of one key stay as they stood. */
function sorted<T>(
  items: readonly T[],
  keyOf: (item: T) => Value,
  isReverse: boolean,
  budget: TemplateBudget,
): T[] {
  const keyed = items.map((item) => ({ item, key: keyOf(item) }));
  keyed.sort((a, b) => (isReverse ? compare(b.key, a.key, budget) : compare(a.key, b.key, budget)));
  return keyed.map(({ item }) => item);
}

const sort: Filter = (value, args, budget) => {
  const [reverse, sensitive, path] = bind(args, 'sort', 'reverse', 'case_sensitive', 'attribute');
  if (path && isText(path) && textOf(path).includes(',')) throw new Error('it sorts by several attributes');
  const isByPath = path !== undefined && !isNone(path);
  const keyOf = (each: Value) =>
    sortKey(isByPath ? atPath(each, path, budget) : each, isOn(sensitive), budget);
  return list(sorted(iterate(value, budget), keyOf, isOn(reverse), budget));
};

const dictsort: Filter = (value, args, budget) => {
  const [sensitive, by, reverse] = bind(args, 'dictsort', 'case_sensitive', 'by', 'reverse');
  if (!isDict(value)) throw new TypeError('dictsort can only be applied to a mapping');
  const at = own({ key: 0, value: 1 }, by === undefined ? 'key' : textOf(by));
  if (at === undefined) throw new TypeError('dictsort sorts by "key" or by "value"');
  const pairs = [...entriesOf(value)].map(([key, each]): [Value, Value] => [text(key), each]);
  const keyOf = (pair: [Value, Value]) => sortKey(pair[at] as Value, isOn(sensitive), budget);
  return list(sorted(pairs, keyOf, isOn(reverse), budget).map((pair) => tuple(pair)));
};

const first: Filter = (value, _, budget) => iterate(value, budget)[0] ?? missing();

const fallbackTo: Filter = (value, args) => {
  const [fallback = text(''), boolean] = bind(args, 'default', 'default_value', 'boolean');
  return isMissing(value) || (isOn(boolean) && !isTrue(value)) ? fallback : value;
};

const length: Filter = (value, _, budget) => size(value, budget);

/** By their names in Jinja. */
export const FILTERS: Readonly<Record<string, Filter>> = {
  tojson: (value, args, budget) =>
    text(toJson(value, bind(args, 'tojson', 'ensure_ascii', 'indent', 'separators', 'sort_keys'), budget)),
  string: made((value) => value),
  safe: made((value) => value),
  upper: made((value) => value.toUpperCase()),
  lower: made((value) => value.toLowerCase()),
  capitalize: made(capitalized),
  title: (value, _, budget) => {
    const shown = str(value, budget);
    budget.looks(shown.length);
    return text(titled(shown));
  },
  trim: (value, args, budget) => {
    const [characters] = bind(args, 'trim', 'chars');
    const taken = characters && !isNone(characters) ? str(characters, budget) : undefined;
    return text(stripped(str(value, budget), 'both', taken, budget));
  },
  replace: (value, args, budget) => {
    const [before, after, count] = bind(args, 'replace', 'old', 'new', 'count');
    const texts = [before, after].map((each) => each && text(str(each, budget)));
    return replaced(str(value, budget), [...texts, count], budget);
  },
  indent,
  join,
  length,
  count: length,
  int: toInt,
  float: toFloat,
  default: fallbackTo,
  d: fallbackTo,
  list: (value, _, budget) => list([...iterate(value, budget)]),
  first,
  last: (value, _, budget) => iterate(value, budget).at(-1) ?? missing(),
  reverse: (value, _, budget) => {
    const items = [...iterate(value, budget)].reverse();
    return isText(value) ? text(items.map(textOf).join('')) : generator(items);
  },
  items: (value) => {
    if (isMissing(value)) return generator([]);
    if (!isDict(value)) throw new TypeError('items can only be taken of a mapping');
    return generator([...entriesOf(value)].map(([key, each]) => tuple([text(key), each])));
  },
  unique,
  sort,
  dictsort,
  map,
  select: selecting(true, false),
  reject: selecting(false, false),
  selectattr: selecting(true, true),
  rejectattr: selecting(false, true),
};
