/**
 * Patterns that select modules by name, as keys of PEFT's `alpha_pattern` (`get_pattern_key` of `peft/utils/other.py`, 0.21): a
 * regular expression that the end of a name must match, from a dot on. A file may hold any expression, so only those are read
 * that match in a time that grows slowly with the name.
 */
import { namesOf } from './target-modules.ts';

/** Names, `.`, `\.`, `.*`, `\d`, sets, and names to choose from; anchored or not. */
const READABLE = /^\^?(?:\w|\.\*?|\\\.|\\d\+?|\[[\w-]{1,64}\]\+?|\((?:\?:)?[\w.]+(?:\|[\w.]+)*\)){1,512}\$?$/;
/** Repetitions between the ends of a pattern: each multiplies its time by the length of a name, and so does its open start. */
const MOST_REPEATED = 1;
const MOST_PATTERNS = 32;
/** Longer than names of modules are; only a name matches such a one. */
const LONGEST_NAME = 128;

/** Whether all keys are names, ends of names, or patterns that can be read. */
export function areReadable(keys: readonly string[]): boolean {
  const patterns = keys.filter((key) => !isName(key));
  const isReadable = (key: string) => READABLE.test(key) && !isSlow(key) && expressionOf(key) !== undefined;
  return patterns.length <= MOST_PATTERNS && patterns.every(isReadable);
}

function isSlow(key: string): boolean {
  const inner = key.replace(/^\.\*/, '').replace(/\.\*\$?$/, '');
  return (inner.match(/[*+]/g) ?? []).length > MOST_REPEATED;
}

/** The index of the first key that matches a module's name, by that name; undefined if none does. */
export function firstMatching(keys: readonly string[]): (module: string) => number | undefined {
  const places = new Map<string, number>();
  const patterns: { at: number; pattern: RegExp }[] = [];
  for (const [at, key] of keys.entries()) {
    if (isName(key)) places.set(key, at);
    else patterns.push({ at, pattern: expressionOf(key) as RegExp });
  }
  return (module) => {
    const named = namesOf(module).map((name) => places.get(name) ?? keys.length);
    const tried = module.length > LONGEST_NAME ? [] : patterns;
    const matching = tried.find(({ pattern }) => pattern.test(module))?.at ?? keys.length;
    const first = Math.min(matching, ...named);
    return first < keys.length ? first : undefined;
  };
}

/** Undefined for a set whose ends are the wrong way round. */
function expressionOf(key: string): RegExp | undefined {
  try {
    return new RegExp(`^${key.startsWith('.*') ? '' : '(?:.*\\.)?'}(?:${key})$`);
  } catch {
    return undefined;
  }
}

/** Most keys are names, and there may be one for every module: these are looked up. */
const isName = (key: string) => /^[\w.]+$/.test(key);
