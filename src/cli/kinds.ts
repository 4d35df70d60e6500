/**
 * Kinds of options: how a value of each is written after a flag and in a configuration file.
 */
import { own } from '../base/lookup.ts';

/** The type of an option's value, by the name of its kind. */
export interface KindValues {
  text: string;
  texts: string[];
  prompts: string[];
  path: string;
  paths: string[];
  source: string;
  number: number;
  list: string[];
  numbers: number[];
  boolean: boolean;
  bytes: number;
  switch: boolean;
  toggle: boolean;
}
export type Kind = keyof KindValues;

interface KindRule {
  placeholder: string;
  /** For messages: `a number`. */
  expected: string;
  /** The flag may be given several times. */
  several?: boolean;
  /** What to do instead of giving it twice. */
  again?: string;
  /** Parses the text after a flag. */
  fromText: (text: string) => unknown;
  /** Parses a value of a configuration file or the result of `fromText`; undefined if it is invalid. */
  read: (value: unknown) => unknown;
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isString = (value: unknown): value is string => typeof value === 'string';
const isTexts = (value: unknown, isOne = isText): value is string[] =>
  Array.isArray(value) && value.length > 0 && value.every(isOne);

export const KINDS: Readonly<Record<Kind, KindRule>> = {
  text: {
    placeholder: '<text>',
    expected: 'text',
    fromText: (t) => t,
    read: (v) => (isText(v) ? v : undefined),
  },
  texts: {
    placeholder: '<text>',
    expected: 'text, or a list of texts',
    several: true,
    fromText: (t) => t,
    read: (v) => (isText(v) ? [v] : isTexts(v) ? v : undefined),
  },
  prompts: {
    placeholder: '<text>',
    expected: 'text, or a list of texts',
    several: true,
    fromText: (t) => t,
    // Also an empty prompt: the model then writes unconditionally.
    read: (v) => (isString(v) ? [v] : isTexts(v, isString) ? v : undefined),
  },
  path: {
    placeholder: '<path>',
    expected: 'a path',
    fromText: (t) => t,
    read: (v) => (isText(v) ? v : undefined),
  },
  paths: {
    placeholder: '<path>',
    expected: 'a path, or a list of paths',
    several: true,
    fromText: (t) => t,
    read: (v) => (isText(v) ? [v] : isTexts(v) ? v : undefined),
  },
  source: {
    placeholder: '<source>',
    expected: 'a folder, owner/name or a URL',
    fromText: (t) => t,
    read: (v) => (isText(v) ? v : undefined),
  },
  number: {
    placeholder: '<n>',
    expected: 'a number',
    fromText: (t) => (t.trim() === '' ? undefined : Number(t)),
    read: (v) => (typeof v === 'number' && !Number.isNaN(v) ? v : undefined),
  },
  list: {
    placeholder: '<names>',
    expected: 'names, separated by commas',
    again: 'give all names to one of them, separated by commas',
    fromText: (t) => t.split(',').map((part) => part.trim()),
    read: (v) => (isText(v) ? [v] : isTexts(v) ? v : undefined),
  },
  numbers: {
    placeholder: '<numbers>',
    expected: 'numbers, separated by commas',
    again: 'give all numbers to one of them, separated by commas',
    fromText: (t) => t.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part))),
    read: (v) => (Array.isArray(v) && v.length > 0 && v.every(Number.isFinite) ? v : undefined),
  },
  boolean: {
    placeholder: '<true|false>',
    expected: 'true or false',
    fromText: (t) => own({ true: true, false: false }, t.toLowerCase()),
    read: (v) => (typeof v === 'boolean' ? v : undefined),
  },
  bytes: {
    placeholder: '<bytes>',
    expected: 'a number of bytes, such as 2GiB, 512MiB or 1500000000',
    fromText: parseBytes,
    read: (v) => (typeof v === 'string' ? parseBytes(v) : typeof v === 'number' && v > 0 ? v : undefined),
  },
  switch: {
    placeholder: '',
    expected: 'true or false',
    fromText: () => true,
    read: (v) => (typeof v === 'boolean' ? v : undefined),
  },
  toggle: {
    placeholder: '<on|off>',
    expected: 'on or off',
    fromText: (t) => own({ on: true, off: false }, t),
    read: (v) => (typeof v === 'boolean' ? v : undefined),
  },
};

function parseBytes(text: string): number | undefined {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)\s*(|[kmgt]i?)b?$/i.exec(text.trim()) ?? [];
  if (digits === undefined) return undefined;
  const power = ['', 'k', 'm', 'g', 't'].indexOf(unit.charAt(0).toLowerCase());
  const bytes = Math.floor(Number(digits) * (unit.length === 1 ? 1000 : 1024) ** power);
  return bytes > 0 ? bytes : undefined;
}
