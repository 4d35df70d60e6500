/**
 * Converts a model's tokenizer to GGUF metadata, the inverse of gguf/tokenizer.ts. Rejects tokenizers that llama.cpp cannot
 * reproduce.
 */
import { own } from '../../base/lookup.ts';
import { InputError, listed, quote } from '../errors.ts';
import { isObject, type Json, type JsonObject } from '../json.ts';
import { PRE_TOKENIZERS } from './pre-tokenizers.ts';
import { SPACE, SPECIAL_TOKENS, TOKEN_TYPES } from './tokenizer.ts';
import type { GgufValue } from './writer.ts';

/** Properties of a tokenizer that are not in its `tokenizer.json`. */
export interface VocabularySettings {
  /** Number of the model's embeddings: ids without a token get a placeholder name. */
  size: number;
  /** Texts of special tokens by their names in a configuration: `bos_token`. */
  special: Readonly<Record<string, string>>;
  addsBos: boolean;
  addsEos: boolean;
  chatTemplate: string | undefined;
}

type Merges = readonly (readonly string[])[];

const WAY_OUT = 'Export in another format, or convert the model with the tools of llama.cpp';
const BYTE = /^<0x[0-9A-F]{2}>$/;
/** Score of a token that no merge produces. */
const UNMERGED = -1e6;

const text = (value: string): GgufValue => ({ type: 'string', value });
const truth = (value: boolean): GgufValue => ({ type: 'bool', value: Number(value) });
const texts = (value: readonly string[]): GgufValue => ({ type: 'array', of: 'string', value });

/** All `tokenizer.` metadata from a parsed `tokenizer.json`. Throws {@link InputError}. */
export function vocabularyMetadata(
  tokenizer: JsonObject,
  file: string,
  settings: VocabularySettings,
): Map<string, GgufValue> {
  const { special, addsBos, addsEos, chatTemplate } = settings;
  const { model } = tokenizer;
  if (!isObject(model) || model.type !== 'BPE' || !isObject(model.vocab) || !Array.isArray(model.merges)) {
    throw new InputError(`${file}, "model"`, 'is not BPE', WAY_OUT);
  }
  const inPieces = model.byte_fallback === true;
  const { tokens, types } = tokensOf(tokenizer, model.vocab, inPieces, settings, file);
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const merges = model.merges.map((merge) =>
    Array.isArray(merge) ? merge.map(String) : String(merge).split(' '),
  );
  const found: Record<string, GgufValue> = {
    tokens: texts(tokens),
    token_type: { type: 'array', of: 'int32', value: types },
    add_bos_token: truth(addsBos),
    add_eos_token: truth(addsEos),
    ...(inPieces ? pieces(tokenizer, file, tokens, merges) : byteLevel(tokenizer, file, merges)),
  };
  for (const [name, key] of Object.entries(SPECIAL_TOKENS)) {
    const id = ids.get(own(special, name) ?? '');
    if (id !== undefined) found[key] = { type: 'uint32', value: id };
  }
  const metadata = new Map(Object.entries(found).map(([key, value]) => [`tokenizer.ggml.${key}`, value]));
  if (chatTemplate !== undefined) metadata.set('tokenizer.chat_template', text(chatTemplate));
  return metadata;
}

/** The text and type of every id. */
function tokensOf(
  { added_tokens: added }: JsonObject,
  vocab: JsonObject,
  inPieces: boolean,
  { size, special }: VocabularySettings,
  file: string,
): { tokens: string[]; types: Int32Array<ArrayBuffer> } {
  const tokens = Array.from({ length: size }, (_, id) => `[PAD${id}]`);
  const types = new Int32Array(size).fill(TOKEN_TYPES.unused);
  const set = (token: string, given: unknown, type: number) => {
    const id = Number(given);
    if (!(Number.isInteger(id) && id >= 0)) throw new InputError(file, `has the id ${quote(given)}`, WAY_OUT);
    // A token without an embedding, which the model never sees; llama.cpp's converter omits it too.
    if (id >= size) return;
    tokens[id] = token;
    types[id] = type;
  };
  for (const [token, id] of Object.entries(vocab)) {
    set(token, id, inPieces && BYTE.test(token) ? TOKEN_TYPES.byte : TOKEN_TYPES.normal);
  }
  for (const token of (Array.isArray(added) ? added : []).filter(isObject)) {
    const type = token.special === true ? TOKEN_TYPES.control : TOKEN_TYPES.userDefined;
    set(String(token.content), token.id, type);
  }
  const unknown = special.unk_token === undefined ? -1 : tokens.indexOf(special.unk_token);
  if (inPieces && unknown >= 0) types[unknown] = TOKEN_TYPES.unknown;
  return { tokens, types };
}

function byteLevel(tokenizer: JsonObject, file: string, merges: Merges): Record<string, GgufValue> {
  return {
    model: text('gpt2'),
    pre: text(preTokenizerName(tokenizer, file)),
    merges: texts(merges.map((pair) => pair.join(' '))),
  };
}

/** llama.cpp's name for the splitting steps, found by their distinguishing parts. */
function preTokenizerName({ pre_tokenizer: given }: JsonObject, file: string): string {
  const steps = isObject(given) && Array.isArray(given.pretokenizers) ? given.pretokenizers : [given];
  const sought = steps.map(mark).join();
  const found = PRE_TOKENIZERS.find((known) => known.steps.map(mark).join() === sought);
  if (found) return found.names[0];
  const names = listed(PRE_TOKENIZERS.map(({ names: [first] }) => first));
  throw new InputError(
    `${file}, "pre_tokenizer"`,
    `is not supported by llama.cpp (supported: ${names})`,
    WAY_OUT,
  );
}

function mark(step: Json | undefined): string {
  if (!isObject(step)) return String(step);
  const { type, pattern, individual_digits: digits, use_regex: regex, add_prefix_space: space } = step;
  const cut = isObject(pattern) ? (pattern.Regex ?? pattern.String) : pattern;
  return JSON.stringify([type, cut, digits, regex ?? type === 'ByteLevel', space]);
}

/** A SentencePiece vocabulary. llama.cpp merges into the token with the highest score, so earlier merges get higher scores. */
function pieces(
  tokenizer: JsonObject,
  file: string,
  tokens: readonly string[],
  merges: Merges,
): Record<string, GgufValue> {
  const ranks = new Map<string, number>();
  for (const [rank, pair] of merges.entries()) {
    const merged = pair.join('');
    if (!ranks.has(merged)) ranks.set(merged, rank);
  }
  const scores = Float32Array.from(tokens, (token) => {
    const rank = ranks.get(token);
    return rank === undefined ? UNMERGED : -rank;
  });
  return {
    model: text('llama'),
    pre: text('default'),
    add_space_prefix: truth(spaceInFront(tokenizer, file)),
    scores: { type: 'array', of: 'float32', value: scores },
  };
}

/** Whether a text gets a leading space. */
function spaceInFront({ normalizer, pre_tokenizer: cut }: JsonObject, file: string): boolean {
  if (isObject(cut) && cut.type === 'Metaspace') {
    return (cut.prepend_scheme ?? (cut.add_prefix_space === false ? 'never' : 'always')) !== 'never';
  }
  const given = isObject(normalizer) ? (normalizer.normalizers ?? [normalizer]) : [];
  const steps = (Array.isArray(given) ? given : []).filter(isObject);
  if (steps.some(({ type, content }) => type === 'Replace' && content === SPACE))
    return steps.some(({ type }) => type === 'Prepend');
  throw new InputError(`${file}, "normalizer"`, 'does not replace spaces as SentencePiece does', WAY_OUT);
}
