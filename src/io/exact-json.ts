/**
 * Parses JSON like Python: ints of any size, floats that stay floats (`1.0`), NaN and Infinity. Chat templates print
 * numbers of a conversation exactly as they were written. The platform's parser does the work; numbers that it would change
 * are passed through it as marked strings.
 */
import { own } from '../base/lookup.ts';
import { InputError } from './errors.ts';
import { type JsonObject, needObject, parseJson } from './json.ts';

/** A float whose JavaScript number would look like an int. */
export class Float extends Number {}

const TOKENS = /"([^"\\]*(?:\\[\s\S][^"\\]*)*)"([\t\n\r ]*:)?|-?(?:\d[\d.eE+-]*|Infinity)|NaN/g;
const NUMBER = /^-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
/** An int that JavaScript represents exactly. */
const SMALL = /^(?:0|-?[1-9]\d{0,14})$/;
const NOT_FINITE: ReadonlyMap<string, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity],
]);
/** Maximum depth of nested lists and objects. */
const MOST_DEPTH = 1000;
/** Python's limit on the digits of an int. */
const MOST_DIGITS = 4300;

/** Prefix of keys, and of numbers that are passed through the parser as strings; random, so that a file cannot contain it. */
const MARK = `\ue000${Math.random().toString(36).slice(2, 12)}`;
const MARKED = new RegExp(`"${MARK}([^"]*)"`, 'g');

/**
 * Parses `text`. Throws `InputError` with file, line and column. Numbers that JavaScript cannot represent are `bigint` and
 * {@link Float}, and {@link keysOf} returns keys in their order.
 */
export function parseExactJson(text: string, file: string): unknown {
  const body = text.replace(/^\uFEFF/, '');
  const plain = parseIfAny(body);
  const keysMove = !plain || hasIndex(plain.value);
  const marked = mark(body, keysMove, file);
  if (plain && marked === body) return plain.value;
  const parsed = marked === undefined ? undefined : parseIfAny(marked);
  if (parsed) return unmarked(parsed.value, file);
  // Replace NaN and infinities, which are not the error to report.
  const finite = body.replace(TOKENS, (token) => (NOT_FINITE.has(token) ? '0'.padEnd(token.length) : token));
  return parseJson(finite, file);
}

/** Like {@link parseExactJson}; the text must contain an object. */
export function parseExactJsonObject(text: string, file: string): JsonObject {
  return needObject(parseExactJson(text, file), file);
}

/** The text with marks; undefined if a number is malformed. */
function mark(text: string, keys: boolean, file: string): string | undefined {
  let sound = true;
  try {
    const marked = text.replace(TOKENS, (token, inner?: string, colon?: string) => {
      if (colon !== undefined && keys) return `"${MARK}${inner}"${colon}`;
      if (inner !== undefined || SMALL.test(token)) return token;
      if (token.length > MOST_DIGITS) {
        throw new InputError(
          file,
          `contains a number of more than ${MOST_DIGITS} digits`,
          'Write it as text',
        );
      }
      sound &&= NOT_FINITE.has(token) || NUMBER.test(token);
      return `"${MARK}${token}"`;
    });
    return sound ? marked : undefined;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new InputError(file, 'is too long to be read at once', 'Write one JSON object per line', {
      cause: error,
    });
  }
}

function parseIfAny(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** Whether any key in the value, at any depth, is an integer, which JavaScript would move to the front. */
function hasIndex(value: unknown): boolean {
  const open: unknown[] = [value];
  while (open.length > 0) {
    const next = open.pop();
    if (typeof next !== 'object' || next === null) continue;
    if (!Array.isArray(next) && Object.keys(next).some(isIndex)) return true;
    for (const each of Object.values(next)) open.push(each);
  }
  return false;
}

const isIndex = (key: string) => /^(?:0|[1-9]\d{0,9})$/.test(key);

/** The keys of objects in the order of the text, if JavaScript's order differs. */
const ORDERS = new WeakMap<object, readonly string[]>();

/** The keys of an object, in the order of the text if `parseExactJson` made it. */
export function keysOf(object: object): readonly string[] {
  return ORDERS.get(object) ?? Object.keys(object);
}

/** The value without the marks. Marked keys are in the order of the text. */
function unmarked(value: unknown, file: string, depth = 0): unknown {
  if (depth > MOST_DEPTH)
    throw new InputError(file, `is nested more than ${MOST_DEPTH} levels deep`, 'Flatten it');
  const inner = (each: unknown) => unmarked(each, file, depth + 1);
  if (typeof value === 'string') return value.startsWith(MARK) ? numberOf(value.slice(MARK.length)) : value;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(inner);
  const bare = (key: string) => (key.startsWith(MARK) ? key.slice(MARK.length) : key);
  const entries = Object.entries(value).map(([key, each]) => [bare(key), inner(each)] as const);
  const object = Object.fromEntries(entries);
  const keys = entries.map(([key]) => key);
  if (keys.some(isIndex)) ORDERS.set(object, keys);
  return object;
}

/** The value as JSON, with its numbers as they were read. Throws if it is nested too deeply for the stack. */
export function exactJson(value: unknown, { sorted = false } = {}): string {
  const inner = (each: unknown) => exactJson(each ?? null, { sorted });
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number' && !Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : `${value}`;
  if (value instanceof Float) return floatJson(Number(value));
  if (Array.isArray(value)) return `[${value.map(inner).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const values = value as Readonly<Record<string, unknown>>;
  const names = keysOf(value).filter((name) => own(values, name) !== undefined);
  const ordered = sorted ? [...names].sort() : names;
  return `{${ordered.map((name) => `${JSON.stringify(name)}:${inner(own(values, name))}`).join(',')}}`;
}

/**
 * The value as a file of transformers or PEFT: indented, with its numbers as they were read. transformers checks types: it
 * rejects `30` for a field that it declares as a float. Numbers under the names in `floats` are therefore written as
 * floats.
 */
export function exactJsonFile(
  value: unknown,
  floats: ReadonlySet<string> = new Set(),
): Uint8Array<ArrayBuffer> {
  const marked = JSON.stringify(
    value,
    (name, each: unknown) => {
      const number = typeof each === 'number' && floats.has(name) ? new Float(each) : each;
      return isKeptByJson(number) ? number : `${MARK}${exactJson(number)}`;
    },
    2,
  );
  return new TextEncoder().encode(`${marked.replaceAll(MARKED, '$1')}\n`);
}

function isKeptByJson(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value !== 'bigint' && !(value instanceof Float);
}

function floatJson(value: number): string {
  if (Object.is(value, -0)) return '-0.0';
  return Number.isInteger(value) && !`${value}`.includes('e') ? `${value}.0` : exactJson(value);
}

function numberOf(token: string): number | bigint | Float {
  const special = NOT_FINITE.get(token);
  if (special !== undefined) return special;
  const number = Number(token);
  const [, fraction, exponent] = NUMBER.exec(token) ?? [];
  const isFloat = fraction !== undefined || exponent !== undefined;
  if (isFloat) return Number.isInteger(number) || !Number.isFinite(number) ? new Float(number) : number;
  return Number.isSafeInteger(number) && !Object.is(number, -0) ? number : BigInt(token);
}
