/**
 * Converts prompts and completions to token ids by TRL's rules (`_prepare_dataset` of its trainers, 1.16): EOS ends a
 * completion that is text. The prompt is tokenized by itself (a conversation with the generation prompt), prompt and
 * completion as a whole, and the completion starts where the two differ. Unlike TRL, a row with nothing to learn is
 * rejected by number rather than dropped.
 */
import { counted } from '../base/counted.ts';
import { say, setting } from '../base/sentence.ts';
import { atOnce, type Sliced } from '../base/slices.ts';
import { InputError, listed, quote } from '../io/errors.ts';
import type { ChatColumns } from './chat-columns.ts';
import type { Message } from './chat-template.ts';
import type { TokenizedExample, TokenizedPair } from './packing.ts';
import type { PreferenceRow } from './preference-dataset.ts';
import { mapGuarded } from './stranger.ts';
import type { TokenIds } from './token-ids.ts';
import { requireEmbedded, type Tokenizer } from './tokenizer.ts';

export interface TokenizeOptions {
  /** Number of the model's embeddings; a row with a larger token id is rejected. */
  vocabSize?: number | undefined;
  /** Maximum number of tokens of prompt and completion; the end of a longer completion is cut off. */
  maxLength?: number | undefined;
  /** Stores ids; default: lists of numbers. */
  keep?: ((ids: TokenIds) => TokenIds) | undefined;
}

/** Rows as token ids, and notices for the user, one line each. */
export interface TokenizedRows {
  examples: TokenizedExample[];
  notices: string[];
}

/** A prompt and its possible completions, by column name. They are all text or all messages. */
export interface CompletionRow extends ChatColumns {
  prompt: string | Message[];
  completions: Readonly<Record<string, string | Message[]>>;
  /** File and line, for error messages. */
  where?: string | undefined;
}

/** The pairs in the order of `rows`, and notices for the user, one line each. */
export function tokenizePairs(
  rows: readonly PreferenceRow[],
  tokenizer: Tokenizer,
  options?: TokenizeOptions,
): { pairs: TokenizedPair[]; notices: string[] } {
  const { examples, notices } = tokenizeCompletions(rows.map(pairRow), tokenizer, options);
  const pairs = examples.map(({ prompt, completions }) => {
    const [chosen, rejected] = completions as [TokenIds, TokenIds];
    return { prompt, chosen, rejected };
  });
  return { pairs, notices };
}

/** A pair as a row of two completions. */
export function pairRow({ chosen, rejected, ...row }: PreferenceRow): CompletionRow {
  return { ...row, completions: { chosen, rejected } };
}

/** The same for rows with any number of completions. All completions of a row start at the same token. */
export function tokenizeCompletions(
  rows: readonly CompletionRow[],
  tokenizer: Tokenizer,
  options?: TokenizeOptions,
): TokenizedRows {
  return atOnce(completionTokens(rows, tokenizer, options));
}

/** {@link tokenizeCompletions} in slices. */
export function* completionTokens(
  rows: readonly CompletionRow[],
  tokenizer: Tokenizer,
  {
    maxLength = Number.POSITIVE_INFINITY,
    vocabSize = Number.POSITIVE_INFINITY,
    keep = (ids) => ids,
  }: TokenizeOptions = {},
): Sliced<TokenizedRows> {
  const shifted: number[] = [];
  const cut: number[] = [];
  const equal: number[] = [];
  const examples = yield* mapGuarded(rows, whereOf, (row, index) => {
    const where = whereOf(row, index);
    const ids = located(where, () => encodeRow(row, tokenizer));
    for (const whole of ids.wholes) requireEmbedded(tokenizer, whole, vocabSize, where);
    const length = Math.min(...ids.wholes.map((whole) => commonPrefix(ids.prompt, whole)));
    const prompt = ids.prompt.slice(0, length);
    if (length === 0) {
      const what = 'the prompt has no token from which to predict the completion';
      throw new InputError(where, what, 'Give a prompt, or use a tokenizer that adds a BOS token');
    }
    if (length >= maxLength) {
      const limit = setting('maxLength');
      const what = say`the prompt has ${counted(length, 'token')}, which leaves no space for a completion within ${limit} ${maxLength}`;
      throw new InputError(where, what, say`Raise ${limit}, or shorten or remove the row`);
    }
    if (length < ids.prompt.length) shifted.push(index + 1);
    if (ids.wholes.some((whole) => whole.length > maxLength)) cut.push(index + 1);
    const completions = ids.wholes.map((whole) => whole.slice(length, maxLength));
    const empty = completions.findIndex((completion) => completion.length === 0);
    if (empty >= 0) {
      const column = Object.keys(row.completions)[empty];
      throw new InputError(where, `the completion "${column}" has no tokens`, 'Write one, or remove the row');
    }
    if (isUndecided(completions)) equal.push(index);
    return { prompt: keep(prompt), completions: completions.map(keep) };
  });
  const notices = [
    notice(
      shifted,
      'the prompt is tokenized differently before its completion; the completion starts where they differ',
    ),
    notice(cut, `longer than max_length ${maxLength}; the end of the completion is cut`),
    doubledBos(
      examples.map(({ prompt }) => prompt),
      tokenizer,
    ),
    equalNotice(equal, rows),
  ];
  return { examples, notices: notices.filter((line) => line !== undefined) };
}

/** File and line of a row, or its number. */
export function whereOf({ where }: { where?: string | undefined }, index: number): string {
  return where ?? `row ${index + 1}`;
}

/** Ids of the prompt, and of the prompt with each completion. */
function encodeRow(
  { prompt, completions, tools, chatTemplateKwargs }: CompletionRow,
  tokenizer: Tokenizer,
): { prompt: number[]; wholes: number[][] } {
  const all = Object.values(completions);
  if (typeof prompt === 'string') {
    const alone = tokenizer.encode(prompt);
    return {
      prompt: tokenizer.addsEos ? alone.slice(0, -1) : alone,
      wholes: all.map((completion) => encodeWithEos(prompt + (completion as string), tokenizer)),
    };
  }
  const options = { tools, chatTemplateKwargs };
  return {
    prompt: tokenizer.encodeChat(prompt, { ...options, addGenerationPrompt: true }),
    wholes: all.map((completion) => tokenizer.encodeChat([...prompt, ...(completion as Message[])], options)),
  };
}

/** Ids of a text with exactly one EOS at the end, whether or not the text or the tokenizer adds it. */
export function encodeWithEos(text: string, tokenizer: Tokenizer): number[] {
  const { eosToken, eosId, addsEos } = tokenizer;
  if (eosToken === undefined || eosId === undefined) {
    const wayOut = 'Name an "eos_token" of the vocabulary in tokenizer_config.json';
    throw new InputError(tokenizer.name, 'the tokenizer has no EOS token to end a completion with', wayOut);
  }
  const ended = text.endsWith(eosToken);
  if (addsEos) return tokenizer.encode(ended ? text.slice(0, -eosToken.length) : text);
  const ids = tokenizer.encode(ended ? text : text + eosToken);
  if (ids.at(-1) === eosId) return ids;
  const what = `the tokenizer does not recognize its own EOS token ${quote(eosToken)} in text`;
  throw new InputError(tokenizer.name, what, 'List it under "added_tokens" in tokenizer.json');
}

/** Length of the common prefix. */
export function commonPrefix(a: TokenIds, b: TokenIds): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

/** A notice about some rows, or other items named `one`, if there are any. */
export function notice(rows: readonly number[], what: string, one = 'row'): string | undefined {
  const [first = '', ...rest] = rows.length === 1 ? one : `${one}s`;
  return rows.length === 0 ? undefined : `${first.toUpperCase()}${rest.join('')} ${listed(rows)}: ${what}.`;
}

/** A notice about texts that contain the BOS token although the tokenizer adds it. */
export function doubledBos(
  texts: readonly TokenIds[],
  { bosId }: Tokenizer,
  one?: string,
): string | undefined {
  const doubled = texts.flatMap((ids, i) =>
    bosId !== undefined && ids[0] === bosId && ids[1] === bosId ? [i + 1] : [],
  );
  return notice(doubled, 'begins with BOS twice; leave it out of the text', one);
}

/** Whether the two completions of a pair are the same tokens. */
export function isUndecided([first, second]: readonly TokenIds[]): boolean {
  return !!first && first.length === second?.length && commonPrefix(first, second) === first.length;
}

/** A notice about pairs whose two sides are the same tokens, by their indices, if there are any. */
export function equalNotice(
  equal: readonly number[],
  rows: readonly { prompt: unknown; where?: string | undefined }[],
): string | undefined {
  const [first] = equal;
  if (first === undefined) return undefined;
  const where = rows[first]?.where ?? `row ${first + 1}`;
  return `In ${equal.length} of ${counted(rows.length, 'pair')} chosen and rejected are the same tokens, first in ${where}. Such pairs have no effect.`;
}

/** Adds the row to an error of the tokenizer. */
export function located<T>(where: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw error.at(`${where}: ${error.where}`);
  }
}
