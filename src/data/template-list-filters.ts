/** Filters of templates over the items of a list: select, sort, group, sum. */
import { own } from '../base/lookup.ts';
import type { TemplateBudget } from './template-budget.ts';
import { keyOf } from './template-keys.ts';
import { atPath, isOn } from './template-members.ts';
import { compare, equals, OPERATORS } from './template-operators.ts';
import { type Test, testOf } from './template-tests.ts';
import { bind } from './template-texts.ts';
import {
  entriesOf,
  generator,
  int,
  intOf,
  isDict,
  isMissing,
  isNone,
  isText,
  isTrue,
  iterate,
  list,
  missing,
  pairsOf,
  str,
  text,
  textOf,
  tuple,
  type Value,
} from './template-values.ts';

/** `apply`: runs another filter by name. */
export type Filter = (
  value: Value,
  args: Value[],
  budget: TemplateBudget,
  apply: (name: string, value: Value, args: Value[]) => Value,
) => Value;

const join: Filter = (value, args, budget) => {
  const [separator, path] = bind(args, 'join', 'd', 'attribute');
  const by = separator ? str(separator, budget) : '';
  const found = iterate(value, budget).map((each) => (path ? atPath(each, path, budget) : each));
  const parts = found.map((each) => str(each, budget));
  budget.text(parts.reduce((length, part) => length + part.length + by.length, 0));
  return text(parts.join(by));
};

/** Removes duplicates, by default ignoring case. */
const unique: Filter = (value, args, budget) => {
  const [sensitive, path] = bind(args, 'unique', 'case_sensitive', 'attribute');
  const seen = new Set<string>();
  const kept = iterate(value, budget).filter((each) => {
    const found = path ? atPath(each, path, budget) : each;
    const key = isText(found) && !isOn(sensitive) ? text(textOf(found).toLowerCase()) : found;
    budget.weigh(key);
    const [before, name] = [seen.size, keyOf(key)];
    return seen.add(name).size > before;
  });
  return generator(kept);
};

const map: Filter = (value, args, budget, apply) => {
  const [filter, ...more] = args;
  if (!isTrue(value)) return generator([]);
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

/** `select`, `reject`, `selectattr` and `rejectattr`. */
const selecting =
  (keeps: boolean, byAttribute: boolean): Filter =>
  (value, args, budget) => {
    if (!isTrue(value)) return generator([]);
    const [path, [name, ...more]] = byAttribute ? [args[0], args.slice(1)] : [undefined, args];
    if (byAttribute && !path) throw new TypeError('selectattr and rejectattr require an attribute');
    const test: Test = name ? testOf(str(name, budget)) : isTrue;
    const kept = iterate(value, budget).filter((each) => {
      const found = path ? atPath(each, path, budget) : each;
      return test(found, more, budget) === keeps;
    });
    return generator(kept);
  };

/** The sort key of a value: texts in lower case, unless case matters. */
function sortKey(value: Value, isSensitive: boolean, budget: TemplateBudget): Value {
  if (isSensitive || !isText(value)) return value;
  budget.weigh(value);
  return text(textOf(value).toLowerCase());
}

/** The items sorted by their keys; with `reverse`, items with equal keys keep their order. */
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

/** The key of an item, or of the value at a path in it. */
function keyBy(
  path: Value | undefined,
  isSensitive: boolean,
  budget: TemplateBudget,
): (each: Value) => Value {
  const isByPath = path !== undefined && !isNone(path);
  return (each) => sortKey(isByPath ? atPath(each, path, budget) : each, isSensitive, budget);
}

const sort: Filter = (value, args, budget) => {
  const [reverse, sensitive, path] = bind(args, 'sort', 'reverse', 'case_sensitive', 'attribute');
  if (path && isText(path) && textOf(path).includes(','))
    throw new Error('sorting by several attributes is not supported');
  return list(sorted(iterate(value, budget), keyBy(path, isOn(sensitive), budget), isOn(reverse), budget));
};

const dictsort: Filter = (value, args, budget) => {
  const [sensitive, by, reverse] = bind(args, 'dictsort', 'case_sensitive', 'by', 'reverse');
  if (!isDict(value)) throw new TypeError('dictsort can only be applied to a mapping');
  const at = own({ key: 0, value: 1 }, by === undefined ? 'key' : textOf(by));
  if (at === undefined) throw new TypeError('dictsort can only sort by "key" or "value"');
  const pairs = pairsOf(entriesOf(value));
  const keyOf = (pair: [Value, Value]) => sortKey(pair[at], isOn(sensitive), budget);
  return list(sorted(pairs, keyOf, isOn(reverse), budget).map((pair) => tuple(pair)));
};

/** The first item that no other item precedes. */
const extreme =
  (name: string, isReverse: boolean): Filter =>
  (value, args, budget) => {
    const [sensitive, path] = bind(args, name, 'case_sensitive', 'attribute');
    const keyOf = keyBy(path, isOn(sensitive), budget);
    return sorted(iterate(value, budget), keyOf, isReverse, budget)[0] ?? missing();
  };

const add = own(OPERATORS, '+')!;

const total: Filter = (value, args, budget) => {
  const [path, start = int(0)] = bind(args, 'sum', 'attribute', 'start');
  if (isText(start)) throw new TypeError("sum() can't sum strings");
  const isByPath = path !== undefined && !isNone(path);
  return iterate(value, budget).reduce(
    (sum, each) => add(sum, isByPath ? atPath(each, path, budget) : each, budget),
    start,
  );
};

function groups(items: readonly Value[], keyOf: (item: Value) => Value, budget: TemplateBudget): Value[][] {
  const made: Value[][] = [];
  for (const each of sorted(items, keyOf, false, budget)) {
    const last = made.at(-1);
    if (last?.[0] && equals(keyOf(last[0]), keyOf(each), budget)) last.push(each);
    else made.push([each]);
  }
  return made;
}

const groupby: Filter = (value, args, budget) => {
  const [path, fallback, sensitive] = bind(args, 'groupby', 'attribute', 'default', 'case_sensitive');
  if (!path) throw new TypeError('groupby requires an attribute');
  const named = (each: Value) => {
    const found = atPath(each, path, budget);
    return isMissing(found) ? (fallback ?? found) : found;
  };
  const keyOf = (each: Value) => sortKey(named(each), isOn(sensitive), budget);
  return list(
    groups(iterate(value, budget), keyOf, budget).map((group) => tuple([named(group[0]), list(group)])),
  );
};

/** A count given as an argument, at least 1. */
function countOf(value: Value | undefined, what: string): number {
  const whole = value && intOf(value);
  if (whole === undefined || whole < 1) throw new TypeError(`${what} requires a number of at least 1`);
  return Number(whole);
}

const batch: Filter = (value, args, budget) => {
  const [linecount, fill] = bind(args, 'batch', 'linecount', 'fill_with');
  const size = countOf(linecount, 'batch');
  const items = iterate(value, budget);
  const rows = Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
  const last = rows.at(-1);
  if (last && fill && !isNone(fill)) {
    budget.elements(size);
    while (last.length < size) last.push(fill);
  }
  return generator(rows.map((row) => list(row)));
};

const slice: Filter = (value, args, budget) => {
  const [slices, fill] = bind(args, 'slice', 'slices', 'fill_with');
  const count = countOf(slices, 'slice');
  const items = iterate(value, budget);
  budget.elements(count);
  const [each, longer] = [Math.floor(items.length / count), items.length % count];
  let from = 0;
  const columns = Array.from({ length: count }, (_, i) => {
    const column = items.slice(from, from + each + (i < longer ? 1 : 0));
    from += column.length;
    return fill && !isNone(fill) && i >= longer ? [...column, fill] : column;
  });
  return generator(columns.map((column) => list(column)));
};

/** By their names in Jinja. */
export const LIST_FILTERS: Readonly<Record<string, Filter>> = {
  join,
  unique,
  sort,
  dictsort,
  groupby,
  batch,
  slice,
  sum: total,
  max: extreme('max', true),
  min: extreme('min', false),
  map,
  select: selecting(true, false),
  reject: selecting(false, false),
  selectattr: selecting(true, true),
  rejectattr: selecting(false, true),
};
