/**
 * Comparisons for a reward model: preference pairs, as text, messages or token ids, each with the margin by which the chosen
 * side should win where the rows say one. Rows and token ids as TRL's RewardTrainer takes them (1.16).
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
  /** File and line, for messages. */
  where?: string | undefined;
}

export type Comparison = ComparisonRow | TokenizedComparison;

const COLUMNS =
  'Give it "chosen" and "rejected", with or without "prompt", or "chosen_ids" and "rejected_ids"; "margin" may stand beside';

/** Comparisons, as a form of data. */
export const COMPARISONS: DataForm<Comparison> = {
  columns: ['prompt', 'chosen', 'rejected', 'margin', 'chosen_ids', 'rejected_ids'],
  needed: [
    ['chosen', 'rejected'],
    ['chosen_ids', 'rejected_ids'],
  ],
  wayOut: COLUMNS,
  toRows: (value, where) => [toComparison(value, where)],
};

/** One row, checked. */
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
  /** Most tokens of a side; a pair with a longer one is dropped, as TRL does, because its end is what is scored. */
  maxLength: number;
  /** The token that is skipped at the end, by transformers' rule; the last one is scored where it is left out. */
  padTokenId: number | undefined;
  /** Needed for text. */
  tokenizer: Tokenizer | undefined;
  /** Checks token ids; throws {@link InputError} that names the row. */
  checkIds(ids: readonly unknown[], where: string): void;
  /** Where ids are kept; lists of numbers where it is left out. */
  keep?: ((ids: TokenIds) => TokenIds) | undefined;
}

/**
 * Examples of two completions, the chosen one first, after what both sides begin with; and what a person should know about them, a
 * line each. EOS ends what is text; prompt and completion are joined as text before they are tokenized.
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
    notice(dropped, `a side is longer than max_length ${maxLength}; the pair is left out`),
    equalNotice(equal, rows),
  ];
  return { examples, notices: notices.filter((line) => line !== undefined) };
}

/** Ids of the chosen and of the rejected side, each as a whole. */
function sidesOf({ prompt, chosen, rejected }: Comparison, tokenizer: Tokenizer | undefined): number[][] {
  return [chosen, rejected].map((side) => {
    if (side.length === 0)
      throw new InputError('the pair', 'has an empty side', 'Write it, or remove the row');
    if (isIds(side)) return [...(prompt as readonly number[]), ...side];
    if (!tokenizer)
      throw new InputError('the pair', 'is text, and no tokenizer was given', 'Give a processingClass');
    return encodeSequence(prompt as string | Message[], side as string | Message[], tokenizer);
  });
}

/** Whether a side is token ids rather than messages. */
function isIds(side: string | readonly (Message | number)[]): side is readonly number[] {
  return typeof side !== 'string' && typeof side[0] === 'number';
}

/** Ids of a prompt and what follows it, joined before they are tokenized, and ended by EOS where they are text. */
export function encodeSequence(
  prompt: string | readonly Message[],
  completion: string | readonly Message[],
  tokenizer: Tokenizer,
): number[] {
  if (typeof completion === 'string') return encodeWithEos(`${prompt}${completion}`, tokenizer);
  return tokenizer.encodeChat([...(prompt as readonly Message[]), ...completion]);
}
