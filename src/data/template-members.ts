/** Attributes, items and methods of values in templates: `value.name`, `value[key]`, `text.strip()`. */
import { own } from '../base/lookup.ts';
import { characterAt } from './python-text.ts';
import type { TemplateBudget } from './template-budget.ts';
import { formatText } from './template-format.ts';
import { isHashable, keyOf } from './template-keys.ts';
import { asMarkup, isMarkup, likeSource } from './template-markup.ts';
import { equals } from './template-operators.ts';
import { isRange } from './template-ranges.ts';
import { piecesOf } from './template-search.ts';
import { bind, TEXT_METHODS } from './template-texts.ts';
import {
  callable,
  type Entries,
  entriesOf,
  int,
  intOf,
  isDict,
  isFloat,
  isList,
  isMissing,
  isShownAs,
  isText,
  isTrue,
  itemsOf,
  list,
  missing,
  nameOf,
  none,
  pairsOf,
  shownAs,
  text,
  textOf,
  truth,
  tuple,
  type Value,
} from './template-values.ts';

const pairs = (entries: Entries) => pairsOf(entries).map((pair) => tuple(pair));

const DICT: Readonly<Record<string, (entries: Entries, args: Value[]) => Value>> = {
  get: (entries, args) => {
    const [key, fallback = none()] = bind(args, 'get', 'key', 'default');
    if (!key) throw new TypeError('get expected at least 1 argument, got 0');
    return entries.get(keyOf(key)) ?? fallback;
  },
  items: (entries) => shownAs(list(pairs(entries)), (inner) => `dict_items(${inner})`),
  keys: (entries) => shownAs(list(pairsOf(entries).map(([key]) => key)), (inner) => `dict_keys(${inner})`),
  values: (entries) => shownAs(list([...entries.values()]), (inner) => `dict_values(${inner})`),
};

const BITS = /^-?0*/;

/** Methods of lists, tuples and numbers, with the types that have them. */
const OTHERS: Readonly<
  Record<
    string,
    { of: readonly string[]; call: (value: Value, args: Value[], budget: TemplateBudget) => Value }
  >
> = {
  index: {
    of: ['ArrayValue', 'TupleValue'],
    call: (value, args, budget) => {
      const [sought] = bind(args, 'index', 'value');
      const at = itemsOf(value).findIndex((each) => equals(each, sought ?? missing(), budget));
      if (at < 0) throw new RangeError('the value is not in the list');
      return int(at);
    },
  },
  count: {
    of: ['ArrayValue', 'TupleValue'],
    call: (value, args, budget) => {
      const [sought] = bind(args, 'count', 'value');
      return int(itemsOf(value).filter((each) => equals(each, sought ?? missing(), budget)).length);
    },
  },
  bit_length: {
    of: ['IntegerValue', 'BooleanValue'],
    call: (value) =>
      int(
        BigInt(intOf(value) ?? 0)
          .toString(2)
          .replace(BITS, '').length,
      ),
  },
  is_integer: { of: ['FloatValue'], call: (value) => truth(Number.isInteger(value.value)) },
  cycle: {
    of: ['ObjectValue'],
    call: (value, args) => {
      if (args.length === 0) throw new TypeError('no items for cycling given');
      return args[Number(entriesOf(value).get('index0')?.value) % args.length];
    },
  },
};

/** Members that exist in Python and are not supported here; any other unknown member is undefined. */
const UNSUPPORTED: Readonly<Record<string, RegExp>> = {
  StringValue: /^(casefold|encode|format_map|maketrans|translate)$/,
  ArrayValue: /^copy$/,
  // Members of a group of `groupby`.
  TupleValue: /^(grouper|list)$/,
  ObjectValue: /^(copy|fromkeys)$/,
  IntegerValue:
    /^(as_integer_ratio|bit_count|conjugate|denominator|from_bytes|imag|is_integer|numerator|real|to_bytes)$/,
  FloatValue: /^(as_integer_ratio|conjugate|fromhex|hex|imag|real)$/,
  BooleanValue:
    /^(as_integer_ratio|bit_count|conjugate|denominator|imag|is_integer|numerator|real|to_bytes)$/,
};
/** The variable `loop`: the interpreter represents it as a dict with this key. */
const LOOP = { has: 'revindex0', lacks: /^changed$/ };

const isLoop = (value: Value) => isDict(value) && entriesOf(value).has(LOOP.has);

/** `value.name`. */
export function attribute(value: Value, name: string, budget: TemplateBudget): Value {
  if (isMissing(value)) throw new Error(`cannot get "${name}" of an undefined value`);
  if (isText(value)) {
    const method = own(TEXT_METHODS, name);
    const bound = (args: Value[]) => bind(args, name, ...(method?.names ?? []));
    if (method)
      return charged(value, budget, (args) =>
        likeSource(
          method.call(
            textOf(value),
            isMarkup(value) ? escapedArguments(name, bound(args), budget) : bound(args),
            budget,
          ),
          value,
        ),
      );
    if (name === 'format' && !isMarkup(value))
      return charged(value, budget, (args) => {
        const last = args.at(-1);
        const isNamed = last?.type === 'KeywordArgumentsValue';
        const named: Entries = isNamed ? entriesOf(last) : new Map();
        return text(formatText(textOf(value), isNamed ? args.slice(0, -1) : args, named, budget));
      });
  }
  if (isDict(value) && !isLoop(value)) {
    const method = own(DICT, name);
    if (method) return charged(value, budget, (args) => method(entriesOf(value), args));
  }
  const held = value.value as unknown;
  const found = held instanceof Map ? (held as Entries).get(name) : undefined;
  if (found !== undefined) return found;
  const other = own(OTHERS, name);
  if (other?.of.includes(value.type) && (isDict(value) ? isLoop(value) : !isShownAs(value)))
    return charged(value, budget, (args) => other.call(value, args, budget));
  if ((isLoop(value) && LOOP.lacks.test(name)) || own(UNSUPPORTED, value.type)?.test(name))
    throw new Error(`.${name} of a ${nameOf(value)} is not supported`);
  return missing();
}

/** Arguments of a method of HTML (`template-markup.ts`): what it puts into the text is escaped. */
function escapedArguments(
  name: string,
  args: (Value | undefined)[],
  budget: TemplateBudget,
): (Value | undefined)[] {
  if (/^(center|join|ljust|rjust)$/.test(name))
    throw new Error(`.${name} of a text from the filters "safe" and "escape" is not supported`);
  if (name !== 'replace') return args;
  const [before, after, count] = args;
  return [before, after && asMarkup(after, budget), count];
}

function charged(self: Value, budget: TemplateBudget, method: (args: Value[]) => Value): Value {
  return callable((args) => {
    for (const each of [self, ...args]) budget.weigh(each);
    const result = method(args);
    budget.weigh(result);
    return result;
  });
}

/** `value[key]`. */
export function item(value: Value, key: Value, budget: TemplateBudget): Value {
  if (isMissing(value)) throw new Error('cannot get an item of an undefined value');
  const index = isFloat(key) ? undefined : intOf(key);
  if (index !== undefined && (isList(value) || isText(value))) {
    if (isShownAs(value) && !isRange(value) && !isText(value)) return missing();
    if (!isText(value)) return itemsOf(value).at(Number(index)) ?? missing();
    budget.looks(Math.min(textOf(value).length, Math.abs(Number(index))));
    const one = characterAt(textOf(value), Number(index));
    return one === undefined ? missing() : likeSource(text(one), value);
  }
  budget.weigh(key);
  const found = isDict(value) && isHashable(key) ? entriesOf(value).get(keyOf(key)) : undefined;
  if (found !== undefined || !isText(key)) return found ?? missing();
  return attribute(value, textOf(key), budget);
}

/** The value at a path of attributes: `function.name`, `0`. */
export function atPath(value: Value, path: Value, budget: TemplateBudget): Value {
  const parts = isText(path) ? piecesOf(textOf(path), '.', budget) : [path];
  return parts.reduce<Value>((found, part) => {
    if (typeof part !== 'string') return item(found, part, budget);
    const index = /^\d+$/.test(part) ? Number(part) : undefined;
    if (isMissing(found)) throw new Error(`cannot get "${part}" of an undefined value`);
    if (index !== undefined && isList(found)) return itemsOf(found)[index] ?? missing();
    return item(found, text(part), budget);
  }, value);
}

/** Whether an argument is present and true. */
export function isOn(value: Value | undefined): boolean {
  return value !== undefined && isTrue(value);
}
