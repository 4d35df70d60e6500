/**
 * Hugging Face's JavaScript tokenizer, changed so that it finds added tokens, normalizes and decodes bytes like the
 * tokenizers library.
 */
import { Tokenizer as HfTokenizer } from '@huggingface/tokenizers';
import { own } from '../base/lookup.ts';
import { isObject, type JsonObject } from '../io/json.ts';
import { type AddedToken, type Splitter, wordSplitter } from './added-tokens.ts';
import { type PrefixedModel, withoutPrefix } from './continuing-prefix.ts';
import { NEWER } from './old-unicode.ts';
import type { TokenizedText } from './token-places.ts';
import { boundGrowth, type Step } from './tokenizer-growth.ts';
import { quicken } from './tokenizer-speed.ts';
import { breakTiesAsBefore, type UnigramModel } from './unigram.ts';
import { type FusingModel, fuseWithinWords } from './unknown-runs.ts';

/** The parts of the library's tokenizer that are set here. */
interface Parts {
  model: Parameters<typeof quicken>[1] & UnigramModel & PrefixedModel & FusingModel;
  normalizer: (Step & NormalizerParts) | null;
  pre_tokenizer: Step | null;
  decoder: (Step & DecoderParts) | null;
  added_tokens_map: Map<string, unknown>;
  splitter_unnormalized: Splitter;
  splitter_normalized: Splitter;
}

interface NormalizerParts {
  (text: string): string;
  config: JsonObject;
  normalizers?: (Step & NormalizerParts)[];
  normalize(text: string): string;
}

interface DecoderParts {
  config: JsonObject;
  decoders?: (Step & DecoderParts)[];
  text_decoder?: { decode(bytes: Uint8Array): string };
  /** Of `ByteLevel`: the bytes that letters represent. */
  byte_decoder?: Readonly<Record<string, number>>;
  decode_chain?(tokens: string[]): string[];
}

interface Options {
  /** All added tokens. */
  tokens: readonly AddedToken[];
  eosToken: string | undefined;
  /** Whether special tokens in a text are treated as ordinary text. */
  splitsSpecial: boolean;
  /** The file name, for errors. */
  file: string;
}

/** `json`: the corrected file (`tokenizer-corrections.ts`). */
export function libraryTokenizer(
  json: JsonObject,
  { tokens, eosToken, splitsSpecial, file }: Options,
): HfTokenizer {
  // The splitter below handles white space.
  const plain = tokens.map((token) => ({ ...token, lstrip: false, rstrip: false }));
  const unknown = isObject(json.model) ? json.model.unk_token : undefined;
  const config = { eos_token: eosToken, unk_token: unknown };
  const prefixed = withoutPrefix(
    json,
    tokens.map(({ content }) => content),
    file,
  );
  const tokenizer = new HfTokenizer({ ...(prefixed?.json ?? json), added_tokens: plain }, config);
  const parts = tokenizer as unknown as Parts;
  prefixed?.install(parts.model);
  const { normalizer } = parts;
  if (normalizer) normalizeAsBefore(normalizer);
  if (parts.decoder) decodeStrictly(parts.decoder);
  for (const each of [normalizer, parts.pre_tokenizer, parts.decoder]) boundGrowth(each);
  breakTiesAsBefore(parts.model);
  fuseWithinWords(parts.model);
  quicken(parts.pre_tokenizer, parts.model);
  const isNormal = ({ normalized }: AddedToken) => normalized && normalizer !== null;
  const asFound = (token: AddedToken): [string, AddedToken] => [
    isNormal(token) && normalizer ? normalizer(token.content) : token.content,
    token,
  ];
  const hidden = tokens.filter(({ special }) => special && splitsSpecial);
  for (const { content } of hidden) parts.added_tokens_map.delete(content);
  const found = tokens.filter((token) => !hidden.includes(token));
  const [written, normal] = [found.filter((token) => !isNormal(token)), found.filter(isNormal)];
  parts.splitter_unnormalized = wordSplitter(parts.splitter_unnormalized, new Map(written.map(asFound)));
  parts.splitter_normalized = wordSplitter(parts.splitter_normalized, new Map(normal.map(asFound)));
  return tokenizer;
}

/** How the library's tokenizer spells tokens. */
export function spellingOf(tokenizer: HfTokenizer): Pick<TokenizedText, 'isByteLevel' | 'normalize'> {
  const { normalizer, decoder } = tokenizer as unknown as Parts;
  const isByteLevel = (each: DecoderParts | null): boolean =>
    each?.config.type === 'ByteLevel' || (each?.decoders ?? []).some(isByteLevel);
  return {
    isByteLevel: isByteLevel(decoder),
    normalize: normalizer ?? ((text) => text),
  };
}

/** A run of bytes between other tokens must be valid UTF-8 as a whole, and a byte order mark is a character. */
const BYTES = {
  decode(bytes: Uint8Array): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return '\ufffd'.repeat(bytes.length);
    }
  },
};

function decodeStrictly(decoder: DecoderParts): void {
  for (const each of decoder.decoders ?? []) decodeStrictly(each);
  if (decoder.config.type === 'ByteFallback') decoder.text_decoder = BYTES;
  const { byte_decoder: byLetter, text_decoder: utf8 } = decoder;
  if (decoder.config.type !== 'ByteLevel' || !byLetter || !utf8) return;
  decoder.decode_chain = (tokens) => [
    utf8.decode(Uint8Array.from(tokens.flatMap((token) => bytesOf(token, byLetter)))),
  ];
}

/** The bytes of a token: if all of its letters represent bytes, these, even for an added token; otherwise its UTF-8. */
function bytesOf(token: string, byLetter: Readonly<Record<string, number>>): number[] {
  const bytes = Array.from(token, (letter) => own(byLetter, letter));
  return bytes.includes(undefined) ? [...new TextEncoder().encode(token)] : (bytes as number[]);
}

const FORMS = ['NFC', 'NFD', 'NFKC', 'NFKD'];
const NEWER_CHARACTER = new RegExp(`(${NEWER.replaceAll('\\x{', '\\u{')})`, 'u');

/**
 * Leaves characters that are newer than the tables of the tokenizers library unchanged, and does not combine characters
 * across them.
 */
function normalizeAsBefore(normalizer: NormalizerParts): void {
  for (const each of normalizer.normalizers ?? []) normalizeAsBefore(each);
  const form = String(normalizer.config.type);
  if (!FORMS.includes(form)) return;
  normalizer.normalize = (text) =>
    text
      .split(NEWER_CHARACTER)
      .map((part, i) => (i % 2 === 0 ? part.normalize(form) : part))
      .join('');
}
