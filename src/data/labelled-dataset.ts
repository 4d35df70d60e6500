/**
 * Unpaired preference data: rows of `prompt`, `completion` and a `label` that says whether the completion is desirable.
 * Rows of pairs are also accepted, each as one desirable and one undesirable row (TRL's `unpair_preference_dataset`).
 * Validates each row and names the invalid one; does not depend on tokens.
 */
import { InputError } from '../io/errors.ts';
import { kindOf } from '../io/json.ts';
import { CHAT_COLUMNS, type ChatColumns, chatColumns } from './chat-columns.ts';
import type { Message } from './chat-template.ts';
import { columnsOf, type DataForm, type RowValue } from './data-form.ts';
import { parseDataset } from './jsonl.ts';
import { isEmpty, textOrMessages } from './messages.ts';
import { toPreferenceRow } from './preference-dataset.ts';

/** Prompt and completion are both text or both messages. */
export interface LabelledRow extends ChatColumns {
  prompt: string | Message[];
  completion: string | Message[];
  /** Whether the completion is desirable. */
  label: boolean;
  /** File and line, for error messages. */
  where?: string | undefined;
}

const COLUMNS =
  'Give it "prompt", "completion" and "label" (true or false), or "prompt", "chosen" and "rejected"';

/** pandas writes a column of true and false as numbers if some are missing. */
const LABELS: ReadonlyMap<number, boolean> = new Map([
  [1, true],
  [0, false],
]);

/** The data form of labeled completions. */
export const LABELLED: DataForm<LabelledRow> = {
  columns: ['prompt', 'completion', 'label', 'chosen', 'rejected', ...CHAT_COLUMNS],
  needed: [
    ['prompt', 'completion', 'label'],
    ['prompt', 'chosen', 'rejected'],
    ['chosen', 'rejected'],
  ],
  wayOut: COLUMNS,
  toRows: toLabelledRows,
};

/**
 * The rows of a JSONL (or JSON) text. Throws {@link InputError} for the first invalid row. `onNotice` reports columns that
 * are not read.
 */
export function readLabelledRows(
  text: string,
  file: string,
  onNotice?: (line: string) => void,
): LabelledRow[] {
  return parseDataset(text, file, LABELLED, onNotice);
}

/** Validates one row: a labeled completion, or both completions of a pair. */
export function toLabelledRows(value: RowValue, where: string): LabelledRow[] {
  if ((value.chosen ?? null) !== null && (value.completion ?? null) === null) {
    const { chosen, rejected, ...rest } = toPreferenceRow(value, where);
    return [
      { ...rest, completion: chosen, label: true },
      { ...rest, completion: rejected, label: false },
    ];
  }
  const missing = (['prompt', 'completion', 'label'] as const).filter(
    (column) => value[column] === undefined || value[column] === null,
  );
  if (missing.length > 0) {
    const found = columnsOf(value);
    const what = `the row has no ${missing.map((column) => `"${column}"`).join(' and no ')}, only ${found}`;
    throw new InputError(where, what, COLUMNS);
  }
  const label = typeof value.label === 'boolean' ? value.label : LABELS.get(Number(value.label));
  if (label === undefined || typeof value.label === 'string') {
    throw new InputError(
      where,
      `"label" must be true or false, got ${kindOf(value.label)}`,
      'Give true (desirable) or false',
    );
  }
  const prompt = textOrMessages(value.prompt, 'prompt', where);
  const completion = textOrMessages(value.completion, 'completion', where);
  if (typeof prompt !== typeof completion) {
    throw new InputError(where, '"prompt" and "completion" must be both text or both messages', COLUMNS);
  }
  if (isEmpty(completion)) {
    throw new InputError(where, 'the completion is empty', 'Write one, or remove the row');
  }
  return [{ prompt, completion, label, ...chatColumns(value, where), where }];
}
