/**
 * JSON with errors that name the file, the line and the column. The platform's parser does the work; our own scanner only
 * runs to locate an error or duplicate names. It does not recurse, so deep nesting cannot overflow the stack.
 */

import { own } from '../base/lookup.ts';
import { inFloat32 } from '../base/range.ts';
import { InputError, quote } from './errors.ts';

/** A JSON value. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [name: string]: Json };

/** Parses `text`; throws {@link InputError} with file, line and column. */
export function parseJson(text: string, file: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    const { line, column } = lineAndColumn(text, scanJson(text).error ?? text.length);
    const marked = text[0] === '\uFEFF' ? ', but a byte order mark' : '';
    const found = text.trim() === '' ? 'the file is empty' : `this is not valid JSON${marked}`;
    throw new InputError(
      `${file}, line ${line}, column ${column}`,
      found,
      'Repair the file or fetch it again',
      {
        cause,
      },
    );
  }
}

/** Like `parseJson`; the text must contain an object. */
export function parseJsonObject(text: string, file: string): JsonObject {
  return needObject(parseJson(text, file), file);
}

const NOT_FINITE = /"[^"\\]*(?:\\[\s\S][^"\\]*)*"|-?Infinity|NaN/g;

/**
 * Like `parseJsonObject`, for configurations that Python wrote: NaN and infinities become texts, which are harmless in a field that
 * nobody reads and an error in one that should be a number.
 */
export function parsePythonObject(text: string, file: string): JsonObject {
  try {
    const sound = text.replace(NOT_FINITE, (found) => (found.startsWith('"') ? found : `"${found}"`));
    return needObject(JSON.parse(sound), file);
  } catch {
    return parseJsonObject(text, file);
  }
}

/** `value` if it is an object; otherwise throws {@link InputError}. */
export function needObject(value: unknown, file: string): JsonObject {
  if (!isObject(value)) {
    throw new InputError(
      file,
      `contains ${kindOf(value)}, not a JSON object`,
      'Check that it is the right file',
    );
  }
  return value;
}

/** Whether the value is a JSON object, not a list and not a number of exact JSON. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Number);
}

/** The type of a value, for an error message: `a string`, `a list`. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'bigint' || value instanceof Number) return 'a number';
  if (Number.isNaN(value)) return 'NaN, which stands for a missing value';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** Line and column of the offset `at`, counted from 1. */
function lineAndColumn(text: string, at: number): { line: number; column: number } {
  const before = text.slice(0, at);
  const start = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: at - start + 1 };
}

const SPACE = /[ \t\n\r]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
/** Numbers with more digits count as errors, because the regular expression engine has a stack limit. */
const SCALAR = /-?(?:0|[1-9]\d{0,400})(?:\.\d{1,400})?(?:[eE][+-]?\d{1,400})?|true|false|null/y;

/**
 * Scans a JSON text: `error` is the offset of the first error, `duplicate` the first duplicate name in an object (which the
 * platform's parser accepts, keeping the last value).
 */
export function scanJson(text: string): { error?: number; duplicate?: string } {
  /** Open containers: the names seen so far in an object, `null` for a list. */
  const open: (Set<string> | null)[] = [];
  let duplicate: string | undefined;
  let at = 0;
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  /** A string literal, including quotes; `at` does not advance past a malformed one. */
  const string = (): string | undefined => {
    const start = at;
    if (text.charAt(at) !== '"') return undefined;
    for (at++; at < text.length; ) {
      const code = text.charCodeAt(at);
      if (code === 0x22) return text.slice(start, ++at);
      if (code < 0x20 || (code === 0x5c && match(ESCAPE) === undefined)) return undefined;
      if (code !== 0x5c) at++;
    }
    return undefined;
  };
  const punctuation = (characters: string): string | undefined => {
    match(SPACE);
    const next = text.charAt(at);
    if (next === '' || !characters.includes(next)) return undefined;
    at++;
    return next;
  };
  /** `"name":`, inside an object. */
  const name = (names: Set<string>): boolean => {
    match(SPACE);
    const key = string();
    if (key === undefined) return false;
    const unescaped = JSON.parse(key) as string;
    if (names.has(unescaped)) duplicate ??= unescaped;
    names.add(unescaped);
    return punctuation(':') !== undefined;
  };

  while (true) {
    // A value starts here.
    const opened = punctuation('{[');
    if (opened !== undefined) {
      const names = opened === '{' ? new Set<string>() : null;
      if (punctuation(names ? '}' : ']') === undefined) {
        open.push(names);
        if (names && !name(names)) return { error: at };
        continue;
      }
    } else if (text.charAt(at) === '"' ? string() === undefined : match(SCALAR) === undefined) {
      return { error: at };
    }
    // A value has ended: close containers, and continue after a comma.
    while (true) {
      const names = open[open.length - 1];
      if (names === undefined) {
        match(SPACE);
        if (at < text.length) return { error: at };
        return duplicate === undefined ? {} : { duplicate };
      }
      const next = punctuation(names ? ',}' : ',]');
      if (next === undefined) return { error: at };
      if (next === ',') {
        if (names && !name(names)) return { error: at };
        break;
      }
      open.pop();
    }
  }
}

/** Reads typed fields of a JSON object; every error names the file and the field. */
export class Fields {
  readonly object: JsonObject;
  readonly file: string;
  private readonly names: Readonly<Record<string, string>>;

  /** `names`: the file's names of fields, if they differ from those used here. */
  constructor(object: JsonObject, file: string, names: Readonly<Record<string, string>> = {}) {
    this.object = object;
    this.file = file;
    this.names = names;
  }

  /** The field; undefined if it is absent or null. */
  get(name: string): Json | undefined {
    return own(this.object, this.inFile(name)) ?? undefined;
  }

  /** An integer in [min, max]. */
  integer(name: string, fallback?: number, min = 1, max = 2 ** 31 - 1): number {
    const value = this.get(name) ?? fallback;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max)
      return value;
    throw this.wrong(name, `a whole number from ${min} to ${max}`);
  }

  /** A finite number greater than zero. */
  positive(name: string, fallback?: number): number {
    const value = this.get(name) ?? fallback;
    if (typeof value === 'number' && value > 0 && inFloat32(value)) return value;
    throw this.wrong(name, 'a number greater than 0, within float32');
  }

  boolean(name: string, fallback: boolean): boolean {
    const value = this.get(name) ?? fallback;
    if (typeof value === 'boolean') return value;
    throw this.wrong(name, 'true or false');
  }

  string(name: string, fallback?: string): string {
    const value = this.get(name) ?? fallback;
    if (typeof value === 'string') return value;
    throw this.wrong(name, 'a string');
  }

  wrong(name: string, expected: string): InputError {
    const value = this.get(name);
    const found = value === undefined ? 'is missing' : `is ${quote(value)}`;
    return new InputError(this.place(name), `${found}, expected ${expected}`, 'Correct the file');
  }

  /** A well-formed value that is not supported. */
  unsupported(name: string, wayOut: string): InputError {
    return new InputError(this.place(name), `${quote(this.get(name))} is not supported`, wayOut);
  }

  private inFile(name: string): string {
    return own(this.names, name) ?? name;
  }

  /** File and field, for error messages. */
  place(name: string): string {
    return `${this.file}, "${this.inFile(name)}"`;
  }
}
