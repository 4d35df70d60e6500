/**
 * Patterns that select modules by name, as keys of PEFT's `alpha_pattern` (`get_pattern_key` of `peft/utils/other.py`, 0.21): a
 * regular expression that the end of a name must match, from a dot on. A file may hold any expression, so only those are read
 * that match in a time that grows slowly with the name.
 */
import { namesOf } from './target-modules.ts';

/** Names, `.`, `\.`, `.*`, `\d`, sets, and names to choose from; anchored or not. */
const READABLE = /^\^?(?:\w|\.\*?|\\\.|\\d\+?|\[(?:0-\d|\w)+\]\+?|\((?:\?:)?[\w.]+(?:\|[\w.]+)*\))+\$?$/;
const MOST_PATTERNS = 32;
/** Longer than names of modules are. */
const LONGEST = 128;

/** Whether all keys are names, ends of names, or patterns that can be read. */
export function areReadable(keys: readonly string[]): boolean {
  const patterns = keys.filter((key) => !isName(key));
  const isReadable = (key: string) => key.length <= LONGEST && READABLE.test(key) && !isSlow(key);
  return patterns.length <= MOST_PATTERNS && patterns.every(isReadable);
}

/** Two repetitions between the ends of a pattern: each multiplies its time by the length of a name, and so does an open start. */
const isSlow = (key: string) => key.replace(/^\.\*|\.\*\$?$|[^*+]/g, '').length > 1;

/** The index of the first key that matches a module's name, by that name; -1 if none does. */
export function firstMatching(keys: readonly string[]): (module: string) => number {
  const places = new Map(keys.map((key, at) => [key, at]));
  const patterns = keys.flatMap((key, at) => {
    const start = key.startsWith('.*') ? '' : '(?:.*\\.)?';
    return isName(key) ? [] : [{ at, pattern: new RegExp(`^${start}(?:${key})$`) }];
  });
  return (module) => {
    const fits = module.length > LONGEST ? [] : patterns.filter(({ pattern }) => pattern.test(module));
    const named = namesOf(module).flatMap((name) => places.get(name) ?? []);
    const all = [...named, ...fits.map(({ at }) => at)];
    return all.length > 0 ? Math.min(...all) : -1;
  };
}

/** Most keys are names, and there may be one for every module: these are looked up. */
const isName = (key: string) => /^[\w.]+$/.test(key);
