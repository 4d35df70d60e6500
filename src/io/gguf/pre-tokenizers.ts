/**
 * How byte-level vocabularies cut a text into words before they merge, by llama.cpp's names: a row for each way, with the steps
 * that `tokenizer.json` takes for it. What is not here is refused with the list of what is.
 */
import type { JsonObject } from '../json.ts';

export interface PreTokenizer {
  /** llama.cpp's names of it, in `tokenizer.ggml.pre`; the first is written. */
  names: readonly [string, ...string[]];
  steps: readonly JsonObject[];
  normalizer?: JsonObject;
  /** A word that is a token is not merged from its parts. */
  ignoresMerges?: boolean;
  /** Texts begin with BOS where the file does not say. */
  addsBos?: boolean;
}

const BYTES = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
/** GPT-2's own pattern is part of the step. */
const GPT2 = { ...BYTES, use_regex: true };
const DIGITS = { type: 'Digits', individual_digits: true };

const split = (pattern: string): JsonObject[] => [
  { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
  { ...BYTES, use_regex: false },
];

/** Contractions in any case, words with one other character in front, digits up to `digits` at a time. */
const words = (digits: string): string =>
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" +
  `${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/** Words begin where a capital follows a small letter. */
const CASED =
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|' +
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|' +
  '\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

export const PRE_TOKENIZERS: readonly PreTokenizer[] = [
  // Files from before there was such a key are GPT-2's as a rule.
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
