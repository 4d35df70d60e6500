/**
 * BPE whose tokens within words begin with a prefix (`##`), which Hugging Face's JavaScript library does not support. This
 * file builds an equivalent model without a prefix: characters within a word are replaced by private characters, in tokens
 * and merges too.
 */
import { InputError, quote } from '../io/errors.ts';
import { isObject, type Json, type JsonObject } from '../io/json.ts';

/** Start of the private characters; the first one represents a character that no token has. */
const PRIVATE = 0xf0000;
const UNKNOWN = String.fromCodePoint(PRIVATE);
const isPrivate = (character: string) => character.codePointAt(0)! >= PRIVATE;

/** The parts of the library's model that are set here. */
export interface PrefixedModel {
  vocab?: string[];
  encode(words: string[]): string[];
}

export interface WithoutPrefix {
  json: JsonObject;
  /** Makes the library's model read words like the prefixed model, and name tokens as the file does. */
  install(model: PrefixedModel): void;
}

/** `added`: tokens that are not parts of words. */
export function withoutPrefix(
  json: JsonObject,
  added: readonly string[],
  file: string,
): WithoutPrefix | undefined {
  const { model } = json;
  const prefix = isObject(model) && isBpe(model) ? model.continuing_subword_prefix : undefined;
  if (!isObject(model) || typeof prefix !== 'string' || prefix === '') return undefined;
  if (model.byte_fallback === true) {
    const what = `combines the prefix ${quote(prefix)} for parts of words with a fallback on bytes, which is not supported`;
    throw new InputError(file, what, 'Use another tokenizer');
  }
  const suffix = typeof model.end_of_word_suffix === 'string' ? model.end_of_word_suffix : '';
  const whole = new Set([...added, model.unk_token]);
  const inner = new Map<string, string>();
  const innerOf = (character: string) => {
    if (!inner.has(character)) inner.set(character, String.fromCodePoint(PRIVATE + 1 + inner.size));
    return inner.get(character)!;
  };
  const rewritten = (token: string) => {
    if (whole.has(token)) return token;
    const end = suffix !== '' && token.endsWith(suffix) ? suffix : '';
    const isInner = token.startsWith(prefix) && token.length > prefix.length + end.length;
    const characters = Array.from(token.slice(isInner ? prefix.length : 0, token.length - end.length));
    return characters.map((each, i) => (isInner || i > 0 ? innerOf(each) : each)).join('') + end;
  };
  const vocab = isObject(model.vocab) ? Object.entries(model.vocab) : [];
  const merges = Array.isArray(model.merges) ? model.merges.map((merge) => pairOf(merge).map(rewritten)) : [];
  const wordOf = (word: string) =>
    Array.from(word, (each, i) => {
      if (i > 0) return inner.get(each) ?? UNKNOWN;
      return isPrivate(each) ? UNKNOWN : each;
    }).join('');
  return {
    json: {
      ...json,
      model: {
        ...model,
        vocab: Object.fromEntries(vocab.map(([token, id]) => [rewritten(token), id])),
        merges,
        continuing_subword_prefix: null,
      },
    },
    install(made) {
      const encode = made.encode.bind(made);
      made.encode = (words) => encode(words.map(wordOf));
      for (const [token, id] of vocab) if (made.vocab) made.vocab[Number(id)] = token;
    },
  };
}

const isBpe = ({ type, merges }: JsonObject) =>
  type === 'BPE' || (type === undefined && merges !== undefined);

/** A merge, given as a pair or as text with a space in between. */
function pairOf(merge: Json): string[] {
  return Array.isArray(merge) ? merge.map(String) : String(merge).split(' ');
}
