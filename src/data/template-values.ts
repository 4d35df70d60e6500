/**
 * Values of templates. They are instances of the private classes of Hugging Face's interpreter, with Python's contents:
 * ints of any size, floats that stay floats, tuples distinct from lists, keys in order.
 */
import { Environment, Interpreter } from '@huggingface/jinja';
import { own } from '../base/lookup.ts';
import { Float, keysOf } from '../io/exact-json.ts';
import type { TemplateBudget } from './template-budget.ts';
import { floatText, quotedText } from './template-strings.ts';

export type Node = NonNullable<Parameters<Interpreter['evaluate']>[0]>;
export type Value = ReturnType<Interpreter['evaluate']>;
export type Int = number | bigint;
export type Call = (args: Value[], scope: Environment) => Value;
export type Entries = Map<string, Value>;

/** Maximum bits of an int, close to the digits that Python prints; no template needs more. */
const MOST_BITS = 14_000;
const MOST_DEPTH = 200;

/** The interpreter's value for the plain value `sample`. */
function runtimeValue(sample: unknown): Value {
  return new Environment().set('', sample);
}

/** Makes a value from its content. */
type Maker<Held> = (held: Held) => Value;

function maker<Held>(sample: Value): Maker<Held> {
  const Kind = sample.constructor as new (held: Held) => Value;
  return (held) => new Kind(held);
}

export const text: Maker<string> = maker(runtimeValue(''));
export const float: Maker<number> = maker(runtimeValue(0.5));
export const truth: Maker<boolean> = maker(runtimeValue(true));
export const list: Maker<Value[]> = maker(runtimeValue([]));
export const dict: Maker<Entries> = maker(runtimeValue({}));
export const callable: Maker<Call> = maker(runtimeValue(() => null));
const integer: Maker<Int> = maker(runtimeValue(0));
export const tuple: Maker<Value[]> = maker(
  new Interpreter().evaluate(Object.assign({}, { type: 'TupleLiteral', value: [] }), new Environment()),
);
export const none = (): Value => runtimeValue(null);
export const missing = (): Value => runtimeValue(undefined);

/** An int; stored as a JavaScript number while that is exact. */
export function int(value: Int): Value {
  if (typeof value === 'number') return integer(value + 0);
  if (value > MAX_SAFE || value < -MAX_SAFE) {
    if (value.toString(16).length * 4 > MOST_BITS)
      throw new Error(`it makes a number of more than ${MOST_BITS} bits`);
    return integer(value);
  }
  return integer(Number(value));
}
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** Lists that Python prints differently, with their printers: `dict_items` of a dict, `range(0, 3)`. */
const SHOWN = new WeakMap<Value, (inner: string) => string>();

export function shownAs(value: Value, shown: (inner: string) => string): Value {
  SHOWN.set(value, shown);
  return value;
}

/** Whether Python has a type other than list for it. */
export const isShownAs = (value: Value) => SHOWN.has(value);

const GENERATORS = new WeakSet<Value>();

/** A list that represents a Python generator: true, without a length, used up by what reads it, and never printed. */
export function generator(values: Value[]): Value {
  const made = shownAs(list(values), () => {
    throw new Error('printing a generator is not supported');
  });
  GENERATORS.add(made);
  return Object.assign(made, { __bool__: () => truth(true) });
}

export const isGenerator = (value: Value) => GENERATORS.has(value);

/** The items of a list; those of a generator are used up, the first `count` of them if given. */
export function takeItems(value: Value, count?: number): Value[] {
  const items = itemsOf(value);
  if (!isGenerator(value)) return items;
  Object.assign(value, { value: count === undefined ? [] : items.slice(count) });
  return items;
}

export const isText = ({ type }: Value) => type === 'StringValue';
export const isDict = ({ type }: Value) => type === 'ObjectValue';
export const isTuple = ({ type }: Value) => type === 'TupleValue';
/** Lists and tuples. */
export const isList = ({ type }: Value) => type === 'ArrayValue' || type === 'TupleValue';
/** The same, excluding ranges and other types that are represented as lists. */
export const isPlainList = (value: Value) => isList(value) && !SHOWN.has(value);
export const isMissing = ({ type }: Value) => type === 'UndefinedValue';
export const isNone = ({ type }: Value) => type === 'NullValue';
export const isFloat = ({ type }: Value) => type === 'FloatValue';
export const isTruth = ({ type }: Value) => type === 'BooleanValue';

export const textOf = (value: Value) => value.value as unknown as string;
export const itemsOf = (value: Value) => value.value as unknown as Value[];
export const entriesOf = (value: Value) => value.value as unknown as Entries;

/** The keys of a dict that are not texts, by the text under which the dict stores them (`template-keys.ts`). */
const KEYS = new WeakMap<Entries, Map<string, Value>>();

export function nameKey(entries: Entries, stored: string, key: Value): void {
  KEYS.set(entries, (KEYS.get(entries) ?? new Map<string, Value>()).set(stored, key));
}

/** The keys and values of a dict. */
export function pairsOf(entries: Entries): [key: Value, value: Value][] {
  const odd = KEYS.get(entries);
  return [...entries].map(([stored, value]) => [odd?.get(stored) ?? text(stored), value]);
}

/** Ints, and booleans, which Python counts as ints. */
export function intOf(value: Value): Int | undefined {
  if (isTruth(value)) return Number(value.value);
  return value.type === 'IntegerValue' ? (value.value as Int) : undefined;
}

export function numberOf(value: Value): Int | undefined {
  return isFloat(value) ? (value.value as number) : intOf(value);
}

export function isTrue(value: Value): boolean {
  return value.__bool__().value || (isFloat(value) && Number.isNaN(value.value));
}

const NAMES: Readonly<Record<string, string>> = {
  StringValue: 'str',
  IntegerValue: 'int',
  FloatValue: 'float',
  BooleanValue: 'bool',
  NullValue: 'NoneType',
  ArrayValue: 'list',
  TupleValue: 'tuple',
  ObjectValue: 'dict',
  UndefinedValue: 'Undefined',
};

/** Python's name of the type, for error messages. */
export function nameOf({ type }: Value): string {
  return own(NAMES, type) ?? type;
}

/** A template value from JSON data of a conversation (`io/exact-json.ts`). */
export function fromData(data: unknown): Value {
  if (typeof data === 'bigint') return int(data);
  if (data instanceof Float) return float(Number(data));
  if (typeof data === 'number') return Number.isSafeInteger(data) ? int(data) : float(data);
  if (Array.isArray(data)) return list(data.map(fromData));
  if (typeof data !== 'object' || data === null) return runtimeValue(data);
  const values = data as Readonly<Record<string, unknown>>;
  return dict(new Map(keysOf(data).map((name) => [name, fromData(own(values, name))])));
}

/** `str(value)`. */
export function str(value: Value, budget: TemplateBudget): string {
  if (isText(value)) return textOf(value);
  return isMissing(value) ? '' : repr(value, budget);
}

const REPR: Readonly<Record<string, (value: Value, inner: (value: Value) => string) => string>> = {
  StringValue: (value) => quotedText(textOf(value)),
  IntegerValue: (value) => String(value.value),
  FloatValue: (value) => floatText(value.value as number),
  BooleanValue: (value) => (value.value ? 'True' : 'False'),
  NullValue: () => 'None',
  UndefinedValue: () => 'Undefined',
  ArrayValue: (value, inner) => `[${itemsOf(value).map(inner).join(', ')}]`,
  TupleValue: (value, inner) => {
    const items = itemsOf(value).map(inner);
    return `(${items.join(', ')}${items.length === 1 ? ',' : ''})`;
  },
  ObjectValue: (value, inner) =>
    `{${pairsOf(entriesOf(value))
      .map(([key, each]) => `${inner(key)}: ${inner(each)}`)
      .join(', ')}}`,
};

/** `repr(value)`. */
export function repr(value: Value, budget: TemplateBudget, depth = 0): string {
  budget.charge(1);
  if (isText(value)) budget.looks(textOf(value).length);
  else if (!isList(value)) budget.weigh(value);
  if (depth > MOST_DEPTH) throw new Error('maximum recursion depth exceeded');
  const shown = own(REPR, value.type);
  if (!shown) throw new Error(`printing a ${nameOf(value)} is not supported`);
  const made = shown(value, (inner) => repr(inner, budget, depth + 1));
  budget.text(made.length);
  return SHOWN.get(value)?.(made) ?? made;
}

/** The elements over which a loop iterates. */
export function iterate(value: Value, budget: TemplateBudget): Value[] {
  if (isText(value)) budget.elements(textOf(value).length);
  else budget.weigh(value);
  if (isList(value)) return takeItems(value);
  if (isText(value)) return Array.from(textOf(value), (character) => text(character));
  if (isDict(value)) return pairsOf(entriesOf(value)).map(([key]) => key);
  if (isMissing(value)) return [];
  throw new TypeError(`'${nameOf(value)}' object is not iterable`);
}
