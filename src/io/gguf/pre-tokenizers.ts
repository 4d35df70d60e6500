/**
 * How byte-level vocabularies split a text into words before merging, by llama.cpp's names: one row per method, with the
 * equivalent steps of `tokenizer.json`. Other names are rejected with the list of supported ones.
 */
import type { JsonObject } from '../json.ts';

export interface PreTokenizer {
  /** llama.cpp's names in `tokenizer.ggml.pre`; the first one is written. */
  names: readonly [string, ...string[]];
  steps: readonly JsonObject[];
  normalizer?: JsonObject;
  /** Words that are tokens are not built by merges. */
  ignoresMerges?: boolean;
  /** Whether texts begin with BOS if the file does not say. */
  addsBos?: boolean;
}

const BYTES = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
/** GPT-2's pattern is built into the step. */
const GPT2 = { ...BYTES, use_regex: true };
const DIGITS = { type: 'Digits', individual_digits: true };

const split = (pattern: string): JsonObject[] => [
  { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
  { ...BYTES, use_regex: false },
];

/** Contractions in any case, words with an optional leading character, groups of up to `digits` digits. */
const words = (digits: string): string =>
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" +
  `${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/** A new word begins where an upper-case letter follows a lower-case one. */
const CASED =
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|' +
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|' +
  '\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

export const PRE_TOKENIZERS: readonly PreTokenizer[] = [
  // Files older than this key are usually GPT-2's.
  { names: ['gpt-2', 'default', 'phi-2', 'olmo', 'mpt'], steps: [GPT2] },
  { names: ['smollm', 'starcoder', 'refact', 'command-r', 'codeshell', 'minerva-7b'], steps: [DIGITS, GPT2] },
  {
    names: ['llama-bpe', 'llama3', 'llama-v3', 'falcon3', 'pixtral'],
    steps: split(words('\\p{N}{1,3}')),
    ignoresMerges: true,
    addsBos: true,
  },
  { names: ['smaug-bpe', 'dbrx'], steps: split(words('\\p{N}{1,3}')) },
  {
    names: ['qwen2', 'deepseek-r1-qwen', 'megrez'],
    steps: split(words('\\p{N}')),
    normalizer: { type: 'NFC' },
  },
  { names: ['tekken'], steps: split(CASED), ignoresMerges: true, addsBos: true },
];
