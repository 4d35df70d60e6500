/**
 * The only error class for bad input: a file, a row, a tensor or a setting that cannot be used. It says where, what, and
 * what to do, so that it can be shown to the user unchanged. It never indicates a bug of webalign.
 */
import type { Wording, Words } from '../base/sentence.ts';

/** `where: what. wayOut` in one line; the three parts are also separate fields. A front end may rename the settings in it. */
export class InputError extends Error {
  override name = 'InputError';
  /** File and row, or file and tensor: `pairs.jsonl, line 3`. */
  readonly where: string;
  /** What is wrong, without a full stop. */
  readonly what: string;
  /** What to do about it, without a full stop. */
  readonly wayOut: string;
  private readonly words: { what: Words; wayOut: Words };

  constructor(where: string, what: Words, wayOut: Words, options?: ErrorOptions) {
    super(`${where}: ${what}. ${wayOut}.`, options);
    this.where = where;
    this.what = String(what);
    this.wayOut = String(wayOut);
    this.words = { what, wayOut };
  }

  /** The same error for another location that contains the original one. */
  at(where: string): InputError {
    return new InputError(where, this.words.what, this.words.wayOut, { cause: this });
  }

  /** The message, with `word` applied to the names of settings. */
  worded(word: Wording): string {
    const { what, wayOut } = this.words;
    return `${this.where}: ${inWords(what, word)}. ${inWords(wayOut, word)}.`;
  }
}

/** A file that does not exist, as far as its source can tell. */
export class MissingFileError extends InputError {}

function inWords(words: Words, word: Wording): string {
  return typeof words === 'string' ? words : words.toString(word);
}

/** Characters that must not be printed: control characters, lone surrogates, and marks that change the direction of text. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
/** A high surrogate at the end, which truncation may leave. */
const HALF_A_PAIR = /[\ud800-\udbff]$/;

/** A text from a file for a message: on one line, with unprintable characters escaped, at most `limit` long. */
export function printable(text: string, limit = 80): string {
  // Truncate first: a malicious text may be long.
  const escaped = text.slice(0, limit).replace(UNPRINTABLE, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  if (text.length <= limit && escaped.length <= limit) return escaped;
  return `${escaped.slice(0, limit - 1).replace(HALF_A_PAIR, '')}…`;
}

/** A value from a file, as {@link printable} JSON. */
export function quote(value: unknown, limit = 80): string {
  let text: string;
  try {
    text = typeof value === 'bigint' ? `${value}` : (JSON.stringify(value) ?? String(value));
  } catch {
    text = 'something nested too deeply'; // a malicious value can exhaust the stack
  }
  return printable(text, limit);
}

/** Maximum number of characters of a {@link listed} name, and of all together. */
const NAME_CHARACTERS = 160;
const LIST_CHARACTERS = 480;

/** The first names of a list, {@link printable}, for a message: `a, b, c and 4 more`. */
export function listed(names: readonly (string | number)[], limit = 8, separator = ', '): string {
  if (names.length === 0) return 'none';
  const shown = names.slice(0, limit).map((name) => printable(String(name), NAME_CHARACTERS));
  while (shown.join(separator).length > LIST_CHARACTERS) shown.pop();
  const more = names.length - shown.length;
  return shown.join(separator) + (more > 0 ? ` and ${more} more` : '');
}

/** The message of another library's or the platform's error, without its final full stop, to end a sentence. */
export function reason(error: unknown): string {
  // A browser's QuotaExceededError has a name and no message.
  const text = error instanceof Error ? error.message || error.name : String(error);
  return printable(text.slice(0, 1000).replace(/\s+/g, ' ').replace(/\.+$/, ''), 200);
}
