/**
 * Comparisons for a reward model: preference pairs as text, messages or token ids, each with an optional margin by which
 * the chosen side should win. Rows and token ids have the form that TRL's RewardTrainer accepts (1.16).
 */
import { counted } from '../base/counted.ts';
import { say, setting } from '../base/sentence.ts';
import { atOnce, type Sliced } from '../base/slices.ts';
import { InputError, quote } from '../io/errors.ts';
import type { Message } from './chat-template.ts';
import type { DataForm, RowValue } from './data-form.ts';
import type { TokenizedExample } from './packing.ts';
import { type PreferenceRow, toPreferenceRow } from './preference-dataset.ts';
import { sharedPrompt, upToScored } from './scored-token.ts';
import { mapGuarded } from './stranger.ts';
import type { TokenIds } from './token-ids.ts';
import {
  encodeWithEos,
  equalNotice,
  isUndecided,
  located,
  notice,
  type TokenizedRows,
  whereOf,
} from './tokenize-completions.ts';
import type { Tokenizer } from './tokenizer.ts';

/** A pair as text or messages. */
export interface ComparisonRow extends PreferenceRow {
  margin?: number;
}

/** A pair as token ids; the prompt may be empty. */
export interface TokenizedComparison {
  prompt: readonly number[];
  chosen: readonly number[];
  rejected: readonly number[];
  margin?: number;
  /** File and line, for error messages. */
  where?: string | undefined;
}

export type Comparison = ComparisonRow | TokenizedComparison;

const COLUMNS =
  'Give it "chosen" and "rejected", with or without "prompt", or "chosen_ids" and "rejected_ids"; "margin" is optional';

/** The data form of comparisons. */
export const COMPARISONS: DataForm<Comparison> = {
  columns: ['prompt', 'chosen', 'rejected', 'margin', 'chosen_ids', 'rejected_ids'],
  needed: [
    ['chosen', 'rejected'],
    ['chosen_ids', 'rejected_ids'],
  ],
  wayOut: COLUMNS,
  toRows: (value, where) => [toComparison(value, where)],
};

/** Validates one row. */
export function toComparison(value: RowValue, where: string): Comparison {
  const { margin, chosen_ids: chosen, rejected_ids: rejected } = value;
  const given = margin === undefined || margin === null ? {} : { margin: requireMargin(margin, where) };
  if (chosen === undefined || rejected === undefined) return { ...toPreferenceRow(value, where), ...given };
  for (const [column, ids] of Object.entries({ chosen_ids: chosen, rejected_ids: rejected })) {
    if (Array.isArray(ids) && ids.length > 0) continue;
    throw new InputError(where, `"${column}" is not a list of token ids`, 'Give at least one id');
  }
  return { prompt: [], chosen: chosen as number[], rejected: rejected as number[], ...given, where };
}

function requireMargin(margin: unknown, where: string): number {
  if (typeof margin === 'number' && Number.isFinite(Math.fround(margin))) return margin;
  throw new InputError(where, `"margin" is ${quote(margin)}`, 'Give a number, or leave it out');
}

export interface ComparisonOptions {
  /**
   * Maximum number of tokens of a side. A pair with a longer one is dropped, as in TRL, because its last token is the one
   * that is scored.
   */
  maxLength: number;
  /** The token that is skipped at the end, by transformers' rule; if undefined, the last token is scored. */
  padTokenId: number | undefined;
  /** Required for text. */
  tokenizer: Tokenizer | undefined;
  /** Validates token ids; throws {@link InputError} with the row. */
  checkIds(ids: readonly unknown[], where: string): void;
  /** Stores ids; default: lists of numbers. */
  keep?: ((ids: TokenIds) => TokenIds) | undefined;
}

/**
 * Examples of two completions, the chosen one first, after the prefix that both sides share; and notices for the user, one
 * line each. Text ends with EOS; prompt and completion are joined as text before they are tokenized.
 */
export function tokenizeComparisons(rows: readonly Comparison[], options: ComparisonOptions): TokenizedRows {
  return atOnce(comparisonTokens(rows, options));
}

/** {@link tokenizeComparisons} in slices. */
export function* comparisonTokens(
  rows: readonly Comparison[],
  { maxLength, padTokenId, tokenizer, checkIds, keep = (ids) => ids }: ComparisonOptions,
): Sliced<TokenizedRows> {
  const dropped: number[] = [];
  const equal: number[] = [];
  const made = yield* mapGuarded(rows, whereOf, (row, index): TokenizedExample[] => {
    const where = whereOf(row, index);
    const sides = located(where, () => sidesOf(row, tokenizer));
    for (const ids of sides) checkIds(ids, where);
    if (sides.some(({ length }) => length > maxLength)) {
      dropped.push(index + 1);
      return [];
    }
    const [chosen, rejected] = sides.map((ids) => {
      const { prompt, completion } = upToScored({ prompt: [], completion: ids }, padTokenId);
      return [...prompt, ...completion];
    }) as [number[], number[]];
    const shared = sharedPrompt(chosen, rejected);
    const completions = [chosen.slice(shared), rejected.slice(shared)].map(keep);
    if (isUndecided([chosen, rejected])) equal.push(index);
    const margin = row.margin === undefined ? 0 : requireMargin(row.margin, where);
    return [{ prompt: keep(chosen.slice(0, shared)), completions, columns: { margin: [margin] } }];
  });
  const examples = made.flat();
  if (rows.length > 0 && examples.length === 0) {
    const what = say`each of ${counted(rows.length, 'pair')} has a side of more than ${maxLength} tokens`;
    throw new InputError('training data', what, say`Raise ${setting('maxLength')}, or shorten the rows`);
  }
  const notices = [
    notice(dropped, `a side is longer than max_length ${maxLength}; the pair is dropped`),
    equalNotice(equal, rows),
  ];
  return { examples, notices: notices.filter((line) => line !== undefined) };
}

/** Ids of the chosen and the rejected side, each including the prompt. */
function sidesOf({ prompt, chosen, rejected }: Comparison, tokenizer: Tokenizer | undefined): number[][] {
  return [chosen, rejected].map((side) => {
    if (side.length === 0)
      throw new InputError('the pair', 'has an empty side', 'Write it, or remove the row');
    if (isIds(side)) return [...(prompt as readonly number[]), ...side];
    if (!tokenizer)
      throw new InputError('the pair', 'is text, but no tokenizer was given', 'Give a processingClass');
    return encodeSequence(prompt as string | Message[], side, tokenizer);
  });
}

/** Whether a side consists of token ids rather than messages. */
function isIds(side: string | readonly (Message | number)[]): side is readonly number[] {
  return typeof side !== 'string' && typeof side[0] === 'number';
}

/** Ids of a prompt and its completion, joined before they are tokenized; text ends with EOS. */
export function encodeSequence(
  prompt: string | readonly Message[],
  completion: string | readonly Message[],
  tokenizer: Tokenizer,
): number[] {
  if (typeof completion === 'string') return encodeWithEos(`${prompt}${completion}`, tokenizer);
  return tokenizer.encodeChat([...(prompt as readonly Message[]), ...completion]);
}
