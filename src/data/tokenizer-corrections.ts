/**
 * Rewrites `tokenizer.json` so that Hugging Face's JavaScript library returns the ids of the tokenizers library. A step
 * that the two interpret differently is expressed by steps that both interpret alike: `Split` and `Replace` with patterns
 * in which digits, white space and words are the Unicode classes that Rust uses.
 */

import { own } from '../base/lookup.ts';
import { sum } from '../base/mean.ts';
import { InputError, quote } from '../io/errors.ts';
import { isObject, type Json, type JsonObject } from '../io/json.ts';
import { withAllCases } from './ignore-case.ts';
import { MARKS, NONSPACING_MARKS, PUNCTUATION, REMOVED_BY_BERT } from './old-unicode.ts';

/** Maximum number of steps in a list, and of all nested steps of a kind. */
const MOST_STEPS = 64;
const MOST_NESTED = 256;
/** Maximum factor by which the steps of a normalizer or decoder may lengthen a text. */
const MOST_GROWTH = 256;
/**
 * Maximum number of parts that a template puts around a text, and of copies of the text, or of a pair's two texts, among
 * them.
 */
const MOST_PARTS = 256;
const MOST_SEQUENCES = 4;

const WORD = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}';
const ANY = '[\\s\\S]';
/** The pattern of `ByteLevel`. */
const BYTE_LEVEL = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const sequence = (kind: string, steps: JsonObject[]): JsonObject => ({ type: 'Sequence', [kind]: steps });
const isolated = (pattern: string): JsonObject => ({
  type: 'Split',
  pattern: { Regex: pattern },
  behavior: 'Isolated',
  invert: false,
});
/** Keeps only the text between matches. */
const removed = (pattern: string): JsonObject => matched(gaps(pattern));
const matched = (pattern: string): JsonObject => ({
  type: 'Split',
  pattern: { Regex: pattern },
  behavior: 'Removed',
  invert: true,
});
const gaps = (pattern: string) => `(?:(?!${pattern})${ANY})+`;

/**
 * By what happens to a match. Patterns are single atoms; `invert` swaps matches and gaps, and thus the side that a match
 * joins.
 */
const BEHAVIORS: Readonly<Record<string, (pattern: string, invert: boolean) => JsonObject>> = {
  Isolated: isolated,
  Removed: (pattern, invert) => (invert ? matched(pattern) : removed(pattern)),
  Contiguous: (pattern) => isolated(`${pattern}+`),
  MergedWithPrevious: (pattern, invert) => (invert ? withNext(pattern) : withPrevious(pattern)),
  MergedWithNext: (pattern, invert) => (invert ? withPrevious(pattern) : withNext(pattern)),
};

const withPrevious = (pattern: string) => isolated(`${gaps(pattern)}${pattern}?|${pattern}`);
/** The match is consumed as a whole before the following text is considered. */
const withNext = (pattern: string) =>
  isolated(`(?=(?<match>${pattern}))\\k<match>(?:(?!${pattern})${ANY})*|${gaps(pattern)}`);

function split(
  pattern: Json | undefined,
  behavior: Json | undefined,
  invert: boolean,
  file: string,
): JsonObject {
  const made = own(BEHAVIORS, camel(behavior));
  if (made) return made(`(?:${regexOf(pattern, file)})`, invert);
  throw new InputError(file, `splits texts with the unknown behavior ${quote(behavior)}`, SAVE_AGAIN);
}

const camel = (name: Json | undefined) =>
  String(name).replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());

function regexOf(pattern: Json | undefined, file: string): string {
  const { Regex: regex, String: string } = isObject(pattern) ? pattern : {};
  if (typeof regex === 'string') return withAllCases(regex);
  if (typeof string === 'string' && string !== '') return escapedPattern(string);
  throw new InputError(file, `has the pattern ${quote(pattern)}`, SAVE_AGAIN);
}

const escapedPattern = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/&~#-]/g, '\\$&');

const SAVE_AGAIN = 'Save it again with the transformers library';

type Correct = (step: JsonObject, file: string) => JsonObject;

const PRE_TOKENIZERS: Readonly<Record<string, Correct>> = {
  Sequence: (step, file) => sequence('pretokenizers', steps(step.pretokenizers, PRE_TOKENIZERS, file)),
  Split: ({ pattern, behavior, invert }, file) => split(pattern, behavior, invert === true, file),
  Digits: ({ individual_digits: single }) => isolated(single === true ? '\\p{N}' : '\\p{N}+'),
  Punctuation: ({ behavior = 'Isolated' }, file) => split({ Regex: PUNCTUATION }, behavior, false, file),
  Whitespace: () => matched(`[${WORD}]+|[^${WORD}\\s]+`),
  WhitespaceSplit: () => removed('\\s'),
  BertPreTokenizer: () => sequence('pretokenizers', [removed('\\s'), isolated(PUNCTUATION)]),
  CharDelimiterSplit: ({ delimiter }, file) => split({ String: delimiter ?? '' }, 'Removed', false, file),
  FixedLength: ({ length }) => isolated(`${ANY}{1,${Number(length)}}`),
  ByteLevel(step) {
    const bytes = { ...step, use_regex: false, add_prefix_space: false };
    const space = { type: 'Replace', pattern: { Regex: '\\A(?! )' }, content: ' ' };
    const before = step.add_prefix_space === true ? [space] : [];
    const cut = step.use_regex === false ? [] : [isolated(BYTE_LEVEL)];
    return sequence('pretokenizers', [...before, ...cut, bytes]);
  },
  Metaspace(step, file) {
    const { add_prefix_space: prefix, prepend_scheme: scheme = prefix === false ? 'never' : 'always' } = step;
    const { replacement = '▁' } = step;
    const spaces = { type: 'Metaspace', replacement, prepend_scheme: scheme };
    if (step.split === false) return spaces;
    return sequence('pretokenizers', [spaces, split({ String: replacement }, 'MergedWithNext', false, file)]);
  },
};

const replace = (pattern: string, content: string): JsonObject => ({
  type: 'Replace',
  pattern: { Regex: pattern },
  content,
});

/** Lowercases letter by letter: a sigma at the end of a word is treated like others. */
const LOWERCASE: readonly JsonObject[] = [replace('Σ', 'σ'), { type: 'Lowercase' }];
const IDEOGRAPHS =
  '[\\x{3400}-\\x{4dbf}\\x{4e00}-\\x{9fff}\\x{f900}-\\x{faff}\\x{20000}-\\x{2a6df}\\x{2a700}-\\x{2b81f}\\x{2b920}-\\x{2ceaf}\\x{2f800}-\\x{2fa1f}]';

const NORMALIZERS: Readonly<Record<string, Correct>> = {
  Sequence: (step, file) => sequence('normalizers', steps(step.normalizers, NORMALIZERS, file)),
  Replace: ({ pattern, content }, file) => replace(regexOf(pattern, file), literal(content)),
  Lowercase: () => sequence('normalizers', [...LOWERCASE]),
  StripAccents: () => replace(MARKS, ''),
  Strip: ({ strip_left: left, strip_right: right }) =>
    sequence('normalizers', [
      ...(left === false ? [] : [replace('\\A\\s+', '')]),
      // A search from each position would be quadratic in long white space inside the text.
      ...(right === false ? [] : [replace('(?<!\\s)\\s+\\z', '')]),
    ]),
  Nmt: () =>
    sequence('normalizers', [
      replace('[\\x{1}-\\x{8}\\x{b}\\x{e}-\\x{1f}\\x{7f}\\x{8f}\\x{9f}]', ''),
      replace(
        '[\\x{9}\\x{a}\\x{c}\\x{d}\\x{1680}\\x{200b}-\\x{200f}\\x{2028}\\x{2029}\\x{2581}\\x{feff}\\x{fffd}]',
        ' ',
      ),
    ]),
  BertNormalizer(step) {
    const { lowercase = true, clean_text: clean = true, handle_chinese_chars: chinese = true } = step;
    const accents = step.strip_accents ?? lowercase;
    return sequence('normalizers', [
      ...(clean === false ? [] : [replace(REMOVED_BY_BERT, ''), replace('\\s', ' ')]),
      ...(chinese === false ? [] : [replace(IDEOGRAPHS, ' $& ')]),
      ...(accents === true ? [{ type: 'NFD' }, replace(NONSPACING_MARKS, '')] : []),
      ...(lowercase === false ? [] : LOWERCASE),
    ]);
  },
};

/** In the library's replacements, a dollar sign refers to parts of the match. */
const literal = (content: Json | undefined) =>
  typeof content === 'string' ? content.replaceAll('$', '$$$$') : '';

const DECODERS: Readonly<Record<string, Correct>> = {
  Sequence: (step, file) => sequence('decoders', steps(step.decoders, DECODERS, file)),
  Replace: ({ pattern, content }, file) => replace(regexOf(pattern, file), literal(content)),
};

function steps(list: Json | undefined, table: Readonly<Record<string, Correct>>, file: string): JsonObject[] {
  const given = Array.isArray(list) ? list.filter(isObject) : [];
  if (given.length <= MOST_STEPS) return given.map((step) => corrected(step, table, file));
  throw new InputError(
    file,
    `has ${given.length} steps in a row; at most ${MOST_STEPS} are supported`,
    'Fetch the file again',
  );
}

function corrected(step: JsonObject, table: Readonly<Record<string, Correct>>, file: string): JsonObject {
  return own(table, String(step.type))?.(step, file) ?? step;
}

function correctedStep(step: Json | undefined, table: Readonly<Record<string, Correct>>, file: string): Json {
  return isObject(step) ? corrected(step, table, file) : null;
}

/** The factor by which the steps may lengthen a text. */
function growth(step: Json | undefined): number {
  if (!isObject(step)) return 1;
  const { content, prepend, single, pair } = step;
  const inner = innerOf(step);
  const texts = [single, pair].map((list) => (Array.isArray(list) ? list.filter(isSequence).length : 0));
  const lengths = [content, prepend].map((text) => (typeof text === 'string' ? text.length : 0));
  const here = Math.max(1, ...lengths, ...texts);
  return inner.reduce<number>((product, each) => product * growth(each), here);
}

function refuseGrowth(step: Json | undefined, file: string): void {
  if (growth(step) <= MOST_GROWTH) return;
  const what = `has steps that make a text more than ${MOST_GROWTH} times as long`;
  throw new InputError(file, what, 'Fetch the file again');
}

/** The template with tokens in place of their names. */
function correctedTemplate(step: Json | undefined, file: string): Json {
  if (!isObject(step)) return null;
  if (Array.isArray(step.processors)) {
    return { ...step, processors: step.processors.map((each) => correctedTemplate(each, file)) };
  }
  const names = isObject(step.special_tokens) ? step.special_tokens : {};
  const parts = (list: Json | undefined): Json => {
    if (!Array.isArray(list)) return list ?? null;
    const tokens = list.map((part) => tokensOf(part, names));
    requireAtMost(MOST_PARTS, sum(tokens.map(({ length }) => Math.max(1, length))), 'parts', file);
    requireAtMost(MOST_SEQUENCES, list.filter(isSequence).length, 'copies of it', file);
    return list.flatMap((part, i) => {
      const ids = tokens[i] ?? [];
      const special = isObject(part) && isObject(part.SpecialToken) ? part.SpecialToken : {};
      return ids.length === 0 ? [part] : ids.map((id) => ({ SpecialToken: { ...special, id } }));
    });
  };
  return step.type === 'TemplateProcessing'
    ? { ...step, single: parts(step.single), pair: parts(step.pair) }
    : step;
}

const isSequence = (part: Json) => isObject(part) && isObject(part.Sequence);

/** The tokens that a special token's name in a template represents. */
function tokensOf(part: Json, names: JsonObject): readonly Json[] {
  const special = isObject(part) && isObject(part.SpecialToken) ? part.SpecialToken : undefined;
  const named = special ? own(names, String(special.id)) : undefined;
  return isObject(named) && Array.isArray(named.tokens) ? named.tokens : [];
}

function requireAtMost(most: number, count: number, what: string, file: string): void {
  if (count <= most) return;
  throw new InputError(
    file,
    `puts ${count} ${what} around a text; at most ${most} are supported`,
    'Fetch the file again',
  );
}

function correctedModel(model: JsonObject): JsonObject {
  const { continuing_subword_prefix: prefix } = model;
  return model.type === 'WordPiece' ? { ...model, continuing_subword_prefix: prefix ?? '##' } : model;
}

/** Number of all nested steps. */
function stepCount(step: Json | undefined): number {
  if (!isObject(step)) return 0;
  return 1 + sum(innerOf(step).map(stepCount));
}

function innerOf({ normalizers, pretokenizers, decoders, processors }: JsonObject): Json[] {
  return [normalizers, pretokenizers, decoders, processors].flatMap((list) =>
    Array.isArray(list) ? list : [],
  );
}

function refuseMany(step: Json | undefined, file: string): void {
  const count = stepCount(step);
  if (count <= MOST_NESTED) return;
  const what = `has ${count} nested steps; at most ${MOST_NESTED} are supported`;
  throw new InputError(file, what, 'Fetch the file again');
}

/** The corrected file for the library. Throws {@link InputError} for steps that would need unbounded memory. */
export function correctedTokenizer(json: JsonObject, file: string): JsonObject {
  const steps = [json.normalizer, json.pre_tokenizer, json.post_processor, json.decoder];
  for (const step of steps) refuseMany(step, file);
  const template = correctedTemplate(json.post_processor, file);
  for (const step of steps) refuseGrowth(step, file);
  return {
    ...json,
    model: isObject(json.model) ? correctedModel(json.model) : (json.model ?? null),
    normalizer: correctedStep(json.normalizer, NORMALIZERS, file),
    pre_tokenizer: correctedStep(json.pre_tokenizer, PRE_TOKENIZERS, file),
    post_processor: template,
    decoder: correctedStep(json.decoder, DECODERS, file),
  };
}
