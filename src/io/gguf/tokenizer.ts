/**
 * Converts the tokenizer in a GGUF file's metadata to the `tokenizer.json` and `tokenizer_config.json` of a Hugging Face
 * folder: a byte-level vocabulary with merges, or a SentencePiece vocabulary, whose merges are derived from its scores.
 * Does not tokenize.
 */
import { own } from '../../base/lookup.ts';
import { listed, quote } from '../errors.ts';
import type { Json, JsonObject } from '../json.ts';
import type { GgufMetadata } from './metadata.ts';
import { PRE_TOKENIZERS, type PreTokenizer } from './pre-tokenizers.ts';

export interface GgufTokenizer {
  tokenizer: JsonObject;
  config: JsonObject;
}

/** Token types in `tokenizer.ggml.token_type`. */
export const TOKEN_TYPES = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;
/** Token types that are matched before a text is split, and whether decoding omits them. */
const WHOLE = new Map<number, boolean>([
  [TOKEN_TYPES.unknown, true],
  [TOKEN_TYPES.control, true],
  [TOKEN_TYPES.userDefined, false],
]);
/** Special tokens: names in the configuration and in the metadata. */
export const SPECIAL_TOKENS = {
  bos_token: 'bos_token_id',
  eos_token: 'eos_token_id',
  unk_token: 'unknown_token_id',
  pad_token: 'padding_token_id',
} as const;

export const SPACE = '▁';
/** Maximum characters of a token; the longest in use have a few hundred. Looking up the parts of longer ones would take hours. */
const LONGEST_TOKEN = 1024;
const KEY = 'tokenizer.ggml.';

/** The differences between the kinds of vocabulary. */
interface Kind {
  addsBos: boolean;
  /** The parts of `tokenizer.json` besides tokens and template. */
  parts: JsonObject & { model: JsonObject };
}

/** By `tokenizer.ggml.model`. */
const KINDS: Readonly<Record<string, (metadata: GgufMetadata, tokens: readonly string[]) => Kind>> = {
  gpt2: byteLevel,
  llama: sentencePiece,
};

/** Both files of the tokenizer; undefined if the file has none. Throws `InputError`. */
export function ggufTokenizer(metadata: GgufMetadata): GgufTokenizer | undefined {
  const name = metadata.string(`${KEY}model`);
  if (name === undefined || name === 'none') return undefined;
  const kind = own(KINDS, name);
  if (!kind) throw metadata.unsupported(`${KEY}model`, `Supported models: ${listed(Object.keys(KINDS))}`);
  const tokens = tokensOf(metadata);
  const { addsBos, parts } = kind(metadata, tokens);
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const special = specialTokens(metadata, tokens);
  const ends = {
    first: (metadata.boolean(`${KEY}add_bos_token`) ?? addsBos) && required('bos_token'),
    last: (metadata.boolean(`${KEY}add_eos_token`) ?? false) && required('eos_token'),
  };
  return {
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: addedTokens(metadata, tokens),
      ...parts,
      post_processor: template(ends.first || undefined, ends.last || undefined, vocab),
      model: { ...parts.model, vocab },
    },
    config: {
      tokenizer_class: 'PreTrainedTokenizerFast',
      ...special,
      add_bos_token: ends.first !== false,
      add_eos_token: ends.last !== false,
      clean_up_tokenization_spaces: false,
      ...chatTemplate(metadata),
    },
  };

  function required(token: 'bos_token' | 'eos_token'): string {
    const text = special[token];
    if (text === undefined) throw metadata.wrong(`${KEY}${SPECIAL_TOKENS[token]}`, 'a token to add to texts');
    return text;
  }
}

function tokensOf(metadata: GgufMetadata): string[] {
  const key = `${KEY}tokens`;
  const given = metadata.strings(key);
  if (!given || given.length === 0) throw metadata.wrong(key, 'the vocabulary');
  // Like llama.cpp: a token without text cannot occur, and must not be matched.
  const tokens = given.map((token, id) => token || `[EMPTY_${id}]`);
  const seen = new Set<string>();
  for (const token of tokens) {
    if (seen.has(token)) throw metadata.wrong(key, `distinct tokens, but ${quote(token)} occurs twice`);
    seen.add(token);
  }
  return tokens;
}

function byteLevel(metadata: GgufMetadata): Kind {
  const { steps, normalizer = null, ignoresMerges = false, addsBos = false } = preTokenizer(metadata);
  const [only] = steps;
  return {
    addsBos,
    parts: {
      normalizer,
      pre_tokenizer: steps.length === 1 ? only : { type: 'Sequence', pretokenizers: [...steps] },
      decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: bpe({ ignore_merges: ignoresMerges, merges: givenMerges(metadata) ?? missingMerges(metadata) }),
    },
  };
}

function missingMerges(metadata: GgufMetadata): never {
  throw metadata.wrong(`${KEY}merges`, 'the merges of the vocabulary');
}

function preTokenizer(metadata: GgufMetadata): PreTokenizer {
  const key = `${KEY}pre`;
  const name = metadata.string(key) ?? 'default';
  const found = PRE_TOKENIZERS.find(({ names }) => names.includes(name));
  if (found) return found;
  const known = PRE_TOKENIZERS.flatMap(({ names }) => names);
  throw metadata.unsupported(key, `Supported: ${listed(known, 64)}. Or use the model's Hugging Face folder`);
}

/** Spaces are characters; text that the vocabulary lacks is written in bytes. */
function sentencePiece(metadata: GgufMetadata, tokens: readonly string[]): Kind {
  const prefixed = metadata.boolean(`${KEY}add_space_prefix`) ?? true;
  const replace = { type: 'Replace', pattern: { String: ' ' }, content: SPACE };
  const prepend = { type: 'Prepend', prepend: SPACE };
  const decoders: JsonObject[] = [
    { type: 'Replace', pattern: { String: SPACE }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
  ];
  if (prefixed) decoders.push({ type: 'Strip', content: ' ', start: 1, stop: 0 });
  const unknown = metadata.integer(`${KEY}${SPECIAL_TOKENS.unk_token}`);
  return {
    addsBos: true,
    parts: {
      normalizer: prefixed ? { type: 'Sequence', normalizers: [prepend, replace] } : replace,
      pre_tokenizer: null,
      decoder: { type: 'Sequence', decoders },
      model: bpe({
        unk_token: unknown === undefined ? null : (tokens[unknown] ?? null),
        fuse_unk: true,
        byte_fallback: true,
        merges: givenMerges(metadata) ?? mergesOfScores(metadata, tokens),
      }),
    },
  };
}

function bpe(own: JsonObject): JsonObject {
  return {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    ...own,
  };
}

/** Pairs in merge order, as listed in the file. */
function givenMerges(metadata: GgufMetadata): [string, string][] | undefined {
  return metadata.strings(`${KEY}merges`)?.map((merge) => {
    const at = merge.indexOf(' ', 1);
    if (at > 0 && at + 1 < merge.length) return [merge.slice(0, at), merge.slice(at + 1)];
    throw metadata.wrong(`${KEY}merges`, `pairs of tokens, not ${quote(merge)}`);
  });
}

/**
 * SentencePiece always merges into the token with the highest score. The equivalent merges are all ways to build a token
 * from two others, ordered by the token's score.
 */
function mergesOfScores(metadata: GgufMetadata, tokens: readonly string[]): [string, string][] {
  const key = `${KEY}scores`;
  const scores = metadata.numbers(key);
  if (scores?.length !== tokens.length) throw metadata.wrong(key, `${tokens.length} values, one per token`);
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const score = (id: number) => scores[id];
  const merges: [string, string][] = [];
  for (const id of [...tokens.keys()].sort((a, b) => score(b) - score(a) || a - b)) {
    const token = tokens[id];
    if (token.length > LONGEST_TOKEN) {
      throw metadata.wrong(`${KEY}tokens`, `tokens of at most ${LONGEST_TOKEN} characters`);
    }
    const pairs: [string, string][] = [];
    for (let at = 1; at < token.length; at++) {
      const pair: [string, string] = [token.slice(0, at), token.slice(at)];
      if (pair.every((part) => ids.has(part))) pairs.push(pair);
    }
    const idOf = (part: string) => ids.get(part)!;
    pairs.sort(([a, b], [c, d]) => idOf(a) - idOf(c) || idOf(b) - idOf(d));
    merges.push(...pairs);
  }
  return merges;
}

function addedTokens(metadata: GgufMetadata, tokens: readonly string[]): JsonObject[] {
  const key = `${KEY}token_type`;
  const types = metadata.numbers(key);
  if (!types) return [];
  if (types.length !== tokens.length) throw metadata.wrong(key, `${tokens.length} values, one per token`);
  return tokens.flatMap((content, id) => {
    const special = WHOLE.get(types[id]);
    if (special === undefined) return [];
    return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special };
  });
}

function specialTokens(metadata: GgufMetadata, tokens: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, key] of Object.entries(SPECIAL_TOKENS)) {
    const id = metadata.integer(`${KEY}${key}`);
    if (id === undefined) continue;
    const token = tokens[id];
    if (token === undefined) throw metadata.wrong(`${KEY}${key}`, `an id below ${tokens.length}`);
    found[name] = token;
  }
  return found;
}

/** The tokens before and after a text. */
function template(
  first: string | undefined,
  last: string | undefined,
  vocab: Readonly<Record<string, number>>,
): JsonObject | null {
  const ends = [first, last].filter((token) => token !== undefined);
  if (ends.length === 0) return null;
  const special = (id: string | undefined, type_id: number) =>
    id === undefined ? [] : [{ SpecialToken: { id, type_id } }];
  const sequence = (id: string, type_id: number) => [
    ...special(first, type_id),
    { Sequence: { id, type_id } },
    ...special(last, type_id),
  ];
  return {
    type: 'TemplateProcessing',
    single: sequence('A', 0),
    pair: [...sequence('A', 0), ...sequence('B', 1)],
    special_tokens: Object.fromEntries(
      ends.map((token) => [token, { id: token, ids: [own(vocab, token)!], tokens: [token] }]),
    ),
  };
}

function chatTemplate(metadata: GgufMetadata): Record<string, Json> {
  const source = metadata.string('tokenizer.chat_template');
  return source === undefined ? {} : { chat_template: source };
}
