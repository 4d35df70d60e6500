/**
 * Keys of dicts that are not texts: ints, floats, booleans, none and tuples. The interpreter's dicts have texts as keys, so
 * such a key is stored as a marked text, which is the same for keys that Python counts as equal (1, 1.0 and true).
 */
import { isRange } from './template-ranges.ts';
import {
  type Entries,
  isDict,
  isMissing,
  isNone,
  isPlainList,
  isShownAs,
  isText,
  isTuple,
  itemsOf,
  nameKey,
  nameOf,
  numberOf,
  textOf,
  type Value,
} from './template-values.ts';

/** Random, so that no text of a template or conversation begins with it. */
const MARK = `\ue000${Math.random().toString(36).slice(2, 12)}`;
/** The key under which a dict stores the value at `key`. Throws for types that cannot be keys. */
export function keyOf(key: Value): string {
  return isText(key) ? textOf(key) : MARK + hashed(key);
}

function hashed(key: Value): string {
  if (isText(key)) return `${textOf(key).length}:${textOf(key)}`;
  if (isNone(key) || isMissing(key)) return nameOf(key);
  if (isRange(key)) return `range(${itemsOf(key).map(hashed).join()})`;
  if (isTuple(key) && isPlainList(key)) return `(${itemsOf(key).map(hashed).join()})`;
  const number = numberOf(key);
  if (number === undefined) throw new TypeError(`unhashable type: '${nameOf(key)}'`);
  if (Number.isNaN(number)) throw new Error('nan is not supported as a key');
  return `${typeof number === 'number' && Number.isInteger(number) ? BigInt(number) : number}`;
}

export function setEntry(entries: Entries, key: Value, value: Value): void {
  const stored = keyOf(key);
  // As in Python, the first of equal keys is kept.
  if ((!isText(key) || isShownAs(key)) && !entries.has(stored)) nameKey(entries, stored, key);
  entries.set(stored, value);
}

/** Throws if one of the names of a call's arguments is not a text. */
export function requireNames(named: ReadonlyMap<string, Value>): void {
  for (const name of named.keys()) if (name.startsWith(MARK)) throw new TypeError('keywords must be strings');
}

/** Whether Python takes the value as a key. */
export const isHashable = (key: Value) => !(isDict(key) || (key.type === 'ArrayValue' && !isRange(key)));
