/**
 * Preference data in its usual forms: rows of `prompt`, `chosen`, `rejected`, or of `chosen` and `rejected` whose common
 * prefix is the prompt, as text or messages. Validates each row and names the invalid one; does not depend on tokens.
 *
 * The rules are TRL's: `is_conversational`, `maybe_extract_prompt` and `extract_prompt` of `trl/data_utils.py`, 1.16.
 */
import { counted } from '../base/counted.ts';
import { InputError } from '../io/errors.ts';
import { CHAT_COLUMNS, type ChatColumns, chatColumns } from './chat-columns.ts';
import type { Message } from './chat-template.ts';
import { columnsOf, type DataForm, type RowValue } from './data-form.ts';
import { parseDataset } from './jsonl.ts';
import { canonical, isEmpty, textOrMessages } from './messages.ts';
import { shuffle } from './random.ts';

/** All three are text, or all three are messages. */
export interface PreferenceRow extends ChatColumns {
  prompt: string | Message[];
  chosen: string | Message[];
  rejected: string | Message[];
  /** File and line, for error messages. */
  where?: string | undefined;
}

const COLUMNS = 'Give it "prompt", "chosen" and "rejected", or "chosen" and "rejected" that begin alike';

/** The data form of pairs. */
export const PREFERENCES: DataForm<PreferenceRow> = {
  columns: ['prompt', 'chosen', 'rejected', ...CHAT_COLUMNS],
  needed: [['chosen', 'rejected']],
  wayOut: COLUMNS,
  toRows: (value, where) => [toPreferenceRow(value, where)],
};

/**
 * The rows of a JSONL (or JSON) text. Throws {@link InputError} for the first invalid row. `onNotice` reports columns that
 * are not read.
 */
export function readPreferenceRows(
  text: string,
  file: string,
  onNotice?: (line: string) => void,
): PreferenceRow[] {
  return parseDataset(text, file, PREFERENCES, onNotice);
}

/** Validates one row; an implicit prompt is removed from the completions. */
export function toPreferenceRow(value: RowValue, where: string): PreferenceRow {
  const missing = (['chosen', 'rejected'] as const).filter(
    (column) => value[column] === undefined || value[column] === null,
  );
  if (missing.length > 0) {
    const found = columnsOf(value);
    const what = `the row has no ${missing.map((column) => `"${column}"`).join(' and no ')}, only ${found}`;
    throw new InputError(where, what, COLUMNS);
  }
  const chosen = textOrMessages(value.chosen, 'chosen', where);
  const rejected = textOrMessages(value.rejected, 'rejected', where);
  if (typeof chosen !== typeof rejected) {
    throw new InputError(where, '"chosen" and "rejected" must be both text or both messages', COLUMNS);
  }
  const hasPrompt = value.prompt !== undefined && value.prompt !== null;
  const prompt = hasPrompt ? textOrMessages(value.prompt, 'prompt', where) : undefined;
  // Some data sets give the prompt as text besides conversations that begin with it; the conversations are more precise.
  const explicit = prompt !== undefined && typeof prompt === typeof chosen;
  if (prompt !== undefined && !explicit && typeof chosen === 'string') {
    throw new InputError(
      where,
      '"prompt" is messages, but "chosen" and "rejected" are text',
      'Give all three in one form',
    );
  }
  const sides = explicit ? { prompt, chosen, rejected } : extractPrompt(chosen, rejected, where);
  const row = { ...sides, ...chatColumns(value, where), where };
  refuseEmpty(row, where);
  if (prompt !== undefined && !explicit && row.prompt.length === 0) {
    throw new InputError(
      where,
      '"prompt" is text, but "chosen" and "rejected" are messages',
      'Give all three in one form',
    );
  }
  return row;
}

/**
 * Splits two completions at the end of their common prefix, in characters (a space before the split stays with the
 * completions) or in messages. If one completion is a prefix of the other, its last element is not part of the prompt, so
 * that neither completion is empty.
 */
export function extractPrompt(
  chosen: string | Message[],
  rejected: string | Message[],
  where = 'the row',
): Pick<PreferenceRow, 'prompt' | 'chosen' | 'rejected'> {
  if (typeof chosen === 'string' && typeof rejected === 'string') {
    const parts = split([...chosen], [...rejected], (a, b) => a === b);
    const text = (characters: string[]) => characters.join('');
    return { prompt: text(parts.prompt), chosen: text(parts.chosen), rejected: text(parts.rejected) };
  }
  const text = (message: Message) => canonical(message, where);
  return split(chosen as Message[], rejected as Message[], (a, b) => text(a) === text(b));
}

function split<T>(chosen: T[], rejected: T[], same: (a: T, b: T) => boolean) {
  const most = Math.max(0, Math.min(chosen.length, rejected.length) - 1);
  let at = 0;
  while (at < most && same(chosen[at], rejected[at])) at++;
  const differs = !same(chosen[at], rejected[at]);
  if (differs && at > 0 && chosen[at - 1] === ' ') at--;
  return { prompt: chosen.slice(0, at), chosen: chosen.slice(at), rejected: rejected.slice(at) };
}

function refuseEmpty(row: PreferenceRow, where: string): void {
  for (const column of ['chosen', 'rejected'] as const) {
    if (isEmpty(row[column]))
      throw new InputError(where, `the completion "${column}" is empty`, 'Write one, or remove the row');
  }
}

/**
 * Sets some items aside for evaluation, selected by `seed`; both parts keep the order of the data. `evalSplit` below 1 is a
 * fraction, from 1 a number of items.
 */
export function trainEvalSplit<T>(
  items: readonly T[],
  evalSplit: number,
  seed: number,
): { train: T[]; eval: T[] } {
  const count = evalSplit < 1 ? Math.ceil(items.length * evalSplit) : evalSplit;
  if (!(evalSplit >= 0 && Number.isSafeInteger(count) && (count === 0 || count < items.length))) {
    const wayOut = 'Give a fraction below 1, or a number of rows that leaves some for training';
    throw new InputError(
      'evaluation split',
      `${evalSplit} of ${counted(items.length, 'row')} cannot be set aside`,
      wayOut,
    );
  }
  const held = new Set(shuffle(items.length, seed, 0).subarray(0, count));
  return { train: items.filter((_, i) => !held.has(i)), eval: items.filter((_, i) => held.has(i)) };
}
