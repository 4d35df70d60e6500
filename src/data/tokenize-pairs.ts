/**
 * Preference rows to token ids, by TRL's rules (`DPOTrainer._prepare_dataset` and `DataCollatorForPreference`, 1.16):
 * EOS ends a completion that is text; the prompt is tokenised by itself (a conversation with the generation prompt),
 * prompt and completion as a whole, and the completion starts where the two part. Unlike TRL, a row that leaves
 * nothing to learn is refused by its number, not dropped.
 */
import { InputError, listed, quote } from '../io/errors.ts';
import type { TokenizedPair } from './packing.ts';
import type { Message, PreferenceRow } from './preference-dataset.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface TokenizeOptions {
  /** Most tokens of prompt and completion; what is over is cut off the completion's end. */
  maxLength?: number | undefined;
}

/** The pairs in the order of `rows`, and what a person should know about them, a line each. */
export function tokenizePairs(
  rows: readonly PreferenceRow[],
  tokenizer: Tokenizer,
  { maxLength = Number.POSITIVE_INFINITY }: TokenizeOptions = {},
): { pairs: TokenizedPair[]; notices: string[] } {
  const shifted: number[] = [];
  const cut: number[] = [];
  const equal: number[] = [];
  const doubled: number[] = [];
  const pairs = rows.map((row, index) => {
    const where = row.where ?? `row ${index + 1}`;
    const ids = located(where, () => encodeRow(row, tokenizer));
    const length = Math.min(commonPrefix(ids.prompt, ids.chosen), commonPrefix(ids.prompt, ids.rejected));
    const prompt = ids.prompt.slice(0, length);
    if (length === 0) {
      const what = 'the prompt has no token from which to predict the completion';
      throw new InputError(where, what, 'Give a prompt, or use a tokenizer that adds a BOS token');
    }
    if (length >= maxLength) {
      const what = `the prompt's ${length} tokens leave no room for a completion within max_length ${maxLength}`;
      throw new InputError(where, what, 'Raise max_length, or shorten or remove the row');
    }
    if (tokenizer.bosId !== undefined && prompt[0] === tokenizer.bosId && prompt[1] === tokenizer.bosId)
      doubled.push(index + 1);
    if (length < ids.prompt.length) shifted.push(index + 1);
    if (Math.max(ids.chosen.length, ids.rejected.length) > maxLength) cut.push(index + 1);
    const chosen = ids.chosen.slice(length, maxLength);
    const rejected = ids.rejected.slice(length, maxLength);
    if (chosen.length === 0 || rejected.length === 0) {
      const side = chosen.length === 0 ? 'chosen' : 'rejected';
      throw new InputError(where, `the completion "${side}" has no tokens`, 'Write one, or remove the row');
    }
    if (chosen.length === rejected.length && commonPrefix(chosen, rejected) === chosen.length)
      equal.push(index + 1);
    return { prompt, chosen, rejected };
  });
  const notices = [
    notice(
      shifted,
      'the prompt is tokenised differently before its completion; the completion starts where they part',
    ),
    notice(cut, `longer than max_length ${maxLength}; the end of the completion is cut`),
    notice(doubled, 'the prompt begins with BOS twice; leave it out of the text'),
    notice(equal, 'chosen and rejected are the same; the pair teaches nothing'),
  ];
  return { pairs, notices: notices.filter((line) => line !== undefined) };
}

/** Ids of the prompt, and of the prompt with each completion. */
function encodeRow({ prompt, chosen, rejected }: PreferenceRow, tokenizer: Tokenizer): TokenizedPair {
  if (typeof prompt === 'string') {
    const whole = (completion: string | Message[]) => encodeWithEos(prompt, completion as string, tokenizer);
    const alone = tokenizer.encode(prompt);
    return {
      prompt: tokenizer.addsEos ? alone.slice(0, -1) : alone,
      chosen: whole(chosen),
      rejected: whole(rejected),
    };
  }
  const whole = (completion: string | Message[]) =>
    tokenizer.encodeChat([...prompt, ...(completion as Message[])]);
  return {
    prompt: tokenizer.encodeChat(prompt, { addGenerationPrompt: true }),
    chosen: whole(chosen),
    rejected: whole(rejected),
  };
}

/** Ids of a text that ends with one EOS, whether it, the tokenizer or neither puts it there. */
function encodeWithEos(prompt: string, completion: string, tokenizer: Tokenizer): number[] {
  const { eosToken, eosId, addsEos } = tokenizer;
  if (eosToken === undefined || eosId === undefined) {
    const wayOut = 'Name an "eos_token" of the vocabulary in tokenizer_config.json';
    throw new InputError(tokenizer.name, 'the tokenizer has no EOS token to end a completion with', wayOut);
  }
  const ended = completion.endsWith(eosToken);
  if (addsEos) return tokenizer.encode(prompt + (ended ? completion.slice(0, -eosToken.length) : completion));
  const ids = tokenizer.encode(prompt + (ended ? completion : completion + eosToken));
  if (ids.at(-1) === eosId) return ids;
  const what = `the tokenizer does not read its own EOS token ${quote(eosToken)} in text`;
  throw new InputError(tokenizer.name, what, 'List it under "added_tokens" in tokenizer.json');
}

/** Tokens that both lists begin with. */
function commonPrefix(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

function notice(rows: readonly number[], what: string): string | undefined {
  return rows.length === 0 ? undefined : `${rows.length === 1 ? 'Row' : 'Rows'} ${listed(rows)}: ${what}.`;
}

/** Puts the row before an error of the tokenizer. */
function located<T>(where: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(`${where}: ${error.where}`, error.what, error.wayOut, { cause: error });
  }
}
