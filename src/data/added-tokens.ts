/**
 * Added tokens as the tokenizers library finds them. Hugging Face's JavaScript library finds the longest one at each
 * position; this file decides, on its list of parts, which of them stand alone as words and which white space they absorb.
 */
import { own } from '../base/lookup.ts';
import { InputError, quote } from '../io/errors.ts';
import { isObject, type Json, type JsonObject } from '../io/json.ts';

export interface AddedToken {
  id: number;
  content: string;
  /** Only found if it does not touch a word. */
  single_word: boolean;
  /** Absorbs white space before it, or after it. */
  lstrip: boolean;
  rstrip: boolean;
  normalized: boolean;
  special: boolean;
}

/** More than any tokenizer has; the library looks up each of them in the list of all. */
const MOST_TOKENS = 2 ** 14;
/** Longer than any added token; the library builds a tree of their characters. */
const MOST_CHARACTERS = 2 ** 14;
const FLAGS = ['single_word', 'lstrip', 'rstrip', 'normalized', 'special'] as const;

/** The added tokens of `tokenizer.json` and of other files. A token has the id of its text; a new one gets the next id. */
export function addedTokens(json: JsonObject, more: readonly JsonObject[], file: string): AddedToken[] {
  const inFile = Array.isArray(json.added_tokens) ? json.added_tokens : [];
  const ids = vocabularyIds(json.model);
  const tokens = new Map<string, AddedToken>();
  let next = ids.size;
  for (const given of [...inFile, ...more]) {
    const token = tokenOf(given, file);
    const written =
      isObject(given) && typeof given.id === 'number' && inFile.includes(given) ? given.id : undefined;
    const id = written ?? tokens.get(token.content)?.id ?? ids.get(token.content) ?? next;
    next = Math.max(next, id + 1);
    if (token.content !== '') tokens.set(token.content, { ...token, id });
  }
  if (tokens.size > MOST_TOKENS + inFile.length) {
    throw new InputError(
      file,
      `adds ${tokens.size} tokens; at most ${MOST_TOKENS} are supported`,
      'Fetch the file again',
    );
  }
  return [...tokens.values()];
}

function vocabularyIds(model: Json | undefined): Map<string, number> {
  const vocabulary = isObject(model) ? model.vocab : undefined;
  if (Array.isArray(vocabulary)) {
    return new Map(vocabulary.map((entry, i) => [String(Array.isArray(entry) ? entry[0] : entry), i]));
  }
  return new Map(
    isObject(vocabulary) ? Object.entries(vocabulary).map(([token, id]) => [token, Number(id)]) : [],
  );
}

function tokenOf(value: Json, file: string): Omit<AddedToken, 'id'> {
  const { content } = isObject(value) ? value : {};
  if (typeof content !== 'string' || content.length > MOST_CHARACTERS) {
    const what = `an added token is ${quote(value)}; expected a text of at most ${MOST_CHARACTERS} characters`;
    throw new InputError(file, what, 'Save it again with the transformers library');
  }
  const flags = Object.fromEntries(FLAGS.map((flag) => [flag, own(value as JsonObject, flag) === true]));
  const { single_word, lstrip, rstrip, special } = flags as Record<(typeof FLAGS)[number], boolean>;
  const normalized = own(value as JsonObject, 'normalized') ?? !special;
  return { content, single_word, lstrip, rstrip, special, normalized: normalized === true };
}

/** Splits a text at added tokens. */
export interface Splitter {
  split(text: string): string[];
}

const WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;

/** The library's splitter, with single words and white space handled as in the tokenizers library. `tokens`: by their text. */
export function wordSplitter(inner: Splitter, tokens: ReadonlyMap<string, AddedToken>): Splitter {
  return { split: (text) => sections(text, inner.split(text), tokens) };
}

function sections(text: string, parts: readonly string[], tokens: ReadonlyMap<string, AddedToken>): string[] {
  const found: string[] = [];
  const between = (start: number, end: number) => {
    if (start < end) found.push(text.slice(start, end));
  };
  let done = 0;
  let at = 0;
  for (const part of parts) {
    const [start, end] = [at, at + part.length];
    at = end;
    const token = tokens.get(part);
    if (!token || (token.single_word && touchesWord(text, start, end))) continue;
    const first = token.lstrip ? Math.max(done, spacesBefore(text, start)) : start;
    const last = token.rstrip ? spacesBehind(text, end) : end;
    between(done, first);
    // The previous token may have absorbed all white space of this one.
    if (first < last) found.push(part);
    done = last;
  }
  between(done, text.length);
  return found;
}

/** Whether a letter or digit stands directly before `start` or after `end`. */
function touchesWord(text: string, start: number, end: number): boolean {
  const before = [...text.slice(Math.max(0, start - 2), start)].at(-1) ?? '';
  const behind = [...text.slice(end, end + 2)][0] ?? '';
  return WORD.test(before) || WORD.test(behind);
}

const SPACE = /\p{White_Space}/u;

function spacesBefore(text: string, end: number): number {
  let start = end;
  while (start > 0 && SPACE.test(text.charAt(start - 1))) start--;
  return start;
}

function spacesBehind(text: string, start: number): number {
  let end = start;
  while (end < text.length && SPACE.test(text.charAt(end))) end++;
  return end;
}
