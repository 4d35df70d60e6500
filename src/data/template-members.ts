/** Attributes, items and methods of values, as templates reach them: `value.name`, `value[key]`, `text.strip()`. */
import { own } from '../base/lookup.ts';
import { characterAt, pythonLines, pythonStrip, pythonWords, type StripSides } from './python-text.ts';
import type { TemplateBudget } from './template-budget.ts';
import { piecesOf } from './template-search.ts';
import {
  callable,
  type Entries,
  entriesOf,
  intOf,
  isDict,
  isFloat,
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
  none,
  shownAs,
  text,
  textOf,
  truth,
  tuple,
  type Value,
} from './template-values.ts';

/** Arguments by the names of parameters, undefined where there are none. */
export function bind(args: readonly Value[], what: string, ...names: string[]): (Value | undefined)[] {
  const last = args.at(-1);
  const named: Entries = last?.type === 'KeywordArgumentsValue' ? entriesOf(last) : new Map();
  const placed = named.size > 0 || last?.type === 'KeywordArgumentsValue' ? args.slice(0, -1) : args;
  const odd = [...named.keys()].find((name) => names.indexOf(name) < placed.length);
  if (odd !== undefined) throw new TypeError(`${what}() does not take the argument ${odd}`);
  if (placed.length > names.length) throw new TypeError(`${what}() takes at most ${names.length} arguments`);
  return names.map((name, i) => placed[i] ?? named.get(name));
}

/** A method: `self` and arguments to a value. */
type Method = (self: string, args: (Value | undefined)[], budget: TemplateBudget) => Value;

function textArgument(value: Value | undefined): string {
  if (value !== undefined && isText(value)) return textOf(value);
  throw new TypeError(`must be a text, not ${value ? nameOf(value) : 'nothing'}`);
}

const stripping =
  (sides: StripSides): Method =>
  (self, [characters], budget) => {
    const taken = characters && !isNone(characters) ? textArgument(characters) : undefined;
    return text(stripped(self, sides, taken, budget));
  };

export function stripped(
  self: string,
  sides: StripSides,
  characters: string | undefined,
  budget: TemplateBudget,
): string {
  budget.looks(characters?.length ?? 0);
  const rest = pythonStrip(self, sides, characters);
  budget.looks(self.length - rest.length);
  return rest;
}

const ends =
  (isEnd: (self: string, part: string) => boolean): Method =>
  (self, [part], budget) => {
    const parts = part?.type === 'TupleValue' ? itemsOf(part) : [part];
    return truth(
      parts.some((each) => {
        budget.text(textArgument(each).length);
        return isEnd(self, textArgument(each));
      }),
    );
  };

const CASED = /[\p{Lu}\p{Ll}\p{Lt}]/u;

/** `str.title`: a capital after everything that has no case. */
function titled(self: string): string {
  let after = false;
  return Array.from(self, (one) => {
    const made = after ? one.toLowerCase() : one.toUpperCase();
    after = CASED.test(one);
    return made;
  }).join('');
}

/** The first character a capital, all others small. */
export function capitalized(self: string): string {
  const [first = ''] = self;
  return first.toUpperCase() + self.slice(first.length).toLowerCase();
}

const texts = (parts: readonly string[], budget: TemplateBudget): Value => {
  budget.elements(parts.length);
  return list(parts.map((part) => text(part)));
};

const split: Method = (self, [separator, most], budget) => {
  const limit = most === undefined ? -1 : Number(intOf(most));
  if (separator === undefined || isNone(separator)) {
    budget.looks(self.length);
    return texts(pythonWords(self, limit), budget);
  }
  const by = textArgument(separator);
  if (by === '') throw new RangeError('empty separator');
  const parts = piecesOf(self, by, budget);
  if (limit >= 0 && parts.length > limit + 1) parts.push(parts.splice(limit).join(by));
  return texts(parts, budget);
};

export const replaced: Method = (self, [before, after, count], budget) => {
  const [from, to] = [textArgument(before), textArgument(after)];
  const limit = count === undefined || isNone(count) ? -1 : Number(intOf(count));
  if (from === '') budget.elements(self.length);
  const parts = from === '' ? ['', ...Array.from(self), ''] : piecesOf(self, from, budget);
  const places = limit < 0 ? parts.length - 1 : Math.min(limit, parts.length - 1);
  budget.text(self.length + places * to.length);
  return text(
    parts.slice(0, places + 1).join(to) +
      parts
        .slice(places + 1)
        .map((part) => from + part)
        .join(''),
  );
};

export function linesOf(self: string, budget: TemplateBudget): string[] {
  budget.looks(self.length);
  return pythonLines(self);
}

const joined: Method = (self, [items], budget) => {
  const parts = iterate(items ?? none(), budget).map(textArgument);
  budget.text(parts.reduce((length, part) => length + part.length + self.length, 0));
  return text(parts.join(self));
};

const TEXT: Readonly<Record<string, { names?: readonly string[]; call: Method }>> = {
  strip: { names: ['chars'], call: stripping('both') },
  lstrip: { names: ['chars'], call: stripping('start') },
  rstrip: { names: ['chars'], call: stripping('end') },
  split: { names: ['sep', 'maxsplit'], call: split },
  splitlines: { call: (self, _, budget) => texts(linesOf(self, budget), budget) },
  replace: { names: ['old', 'new', 'count'], call: replaced },
  join: { names: ['iterable'], call: joined },
  startswith: { names: ['prefix'], call: ends((self, part) => self.startsWith(part)) },
  endswith: { names: ['suffix'], call: ends((self, part) => self.endsWith(part)) },
  upper: { call: (self) => text(self.toUpperCase()) },
  lower: { call: (self) => text(self.toLowerCase()) },
  title: {
    call: (self, _, budget) => {
      budget.looks(self.length);
      return text(titled(self));
    },
  },
  capitalize: { call: (self) => text(capitalized(self)) },
};

const pairs = (entries: Entries) => [...entries].map(([key, value]) => tuple([text(key), value]));

const DICT: Readonly<Record<string, (entries: Entries, args: Value[]) => Value>> = {
  get: (entries, args) => {
    const [key, fallback = none()] = bind(args, 'get', 'key', 'default');
    return (key && isText(key) ? entries.get(textOf(key)) : undefined) ?? fallback;
  },
  items: (entries) => shownAs(list(pairs(entries)), (inner) => `dict_items(${inner})`),
  keys: (entries) =>
    shownAs(list([...entries.keys()].map((key) => text(key))), (inner) => `dict_keys(${inner})`),
  values: (entries) => shownAs(list([...entries.values()]), (inner) => `dict_values(${inner})`),
};

/** What Python's values have and templates here do not; everything else that is asked for is undefined. */
const UNSUPPORTED: Readonly<Record<string, RegExp>> = {
  StringValue:
    /^(casefold|center|count|encode|expandtabs|find|format|format_map|index|is(alnum|alpha|ascii|decimal|digit|identifier|lower|numeric|printable|space|title|upper)|ljust|maketrans|partition|removeprefix|removesuffix|rfind|rindex|rjust|rpartition|rsplit|swapcase|translate|zfill)$/,
  ArrayValue: /^(copy|count|index)$/,
  TupleValue: /^(count|index)$/,
  ObjectValue: /^(copy|fromkeys)$/,
  IntegerValue:
    /^(as_integer_ratio|bit_count|bit_length|conjugate|denominator|from_bytes|imag|is_integer|numerator|real|to_bytes)$/,
  FloatValue: /^(as_integer_ratio|conjugate|fromhex|hex|imag|is_integer|real)$/,
  BooleanValue:
    /^(as_integer_ratio|bit_count|bit_length|conjugate|denominator|imag|is_integer|numerator|real|to_bytes)$/,
};
/** Of the variable `loop`, which the interpreter makes a dict with these. */
const LOOP = { has: 'revindex0', lacks: /^(cycle|changed|depth|depth0)$/ };

/** `value.name`. */
export function attribute(value: Value, name: string, budget: TemplateBudget): Value {
  if (isMissing(value)) throw new Error(`it asks for "${name}" of what is undefined`);
  if (isText(value)) {
    const method = own(TEXT, name);
    if (method)
      return charged(value, budget, (args) =>
        method.call(textOf(value), bind(args, name, ...(method.names ?? [])), budget),
      );
  }
  if (isDict(value)) {
    const method = own(DICT, name);
    if (method) return charged(value, budget, (args) => method(entriesOf(value), args));
  }
  const held = value.value as unknown;
  const found = held instanceof Map ? (held as Entries).get(name) : undefined;
  if (found !== undefined) return found;
  const isLoop = isDict(value) && entriesOf(value).has(LOOP.has) && LOOP.lacks.test(name);
  if (isLoop || own(UNSUPPORTED, value.type)?.test(name))
    throw new Error(`it uses .${name} of a ${nameOf(value)}`);
  return missing();
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
  if (isMissing(value)) throw new Error('it asks for an item of what is undefined');
  const index = isFloat(key) ? undefined : intOf(key);
  if (index !== undefined && (isList(value) || isText(value))) {
    if (!isText(value)) return itemsOf(value).at(Number(index)) ?? missing();
    budget.looks(Math.min(textOf(value).length, Math.abs(Number(index))));
    const one = characterAt(textOf(value), Number(index));
    return one === undefined ? missing() : text(one);
  }
  if (!isText(key)) return missing();
  budget.weigh(key);
  const held = value.value as unknown;
  return (
    (isDict(value) ? (held as Entries).get(textOf(key)) : undefined) ?? attribute(value, textOf(key), budget)
  );
}

/** The value at a path of attributes: `function.name`, `0`. */
export function atPath(value: Value, path: Value, budget: TemplateBudget): Value {
  const parts = isText(path) ? piecesOf(textOf(path), '.', budget) : [path];
  return parts.reduce<Value>((found, part) => {
    if (typeof part !== 'string') return item(found, part, budget);
    const index = /^\d+$/.test(part) ? Number(part) : undefined;
    if (isMissing(found)) throw new Error(`it asks for "${part}" of what is undefined`);
    if (index !== undefined && isList(found)) return itemsOf(found)[index] ?? missing();
    return item(found, text(part), budget);
  }, value);
}

/** Whether an argument is given and true. */
export function isOn(value: Value | undefined): boolean {
  return value !== undefined && isTrue(value);
}
