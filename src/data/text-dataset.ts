/**
 * Data for supervised fine-tuning: rows of `text`, of `messages`, or of `prompt` and `completion`. Checks each row and
 * names the one that is wrong; knows no tokens.
 */
import { InputError, listed, quote } from '../io/errors.ts';
import type { JsonObject } from '../io/json.ts';
import type { Message } from './chat-template.ts';
import type { DataForm } from './data-form.ts';
import { parseDataset } from './jsonl.ts';
import { isEmpty, side } from './preference-dataset.ts';

/** A text or a conversation; what comes before the completion is `prompt`, where the two are told apart. */
export interface TextRow {
  prompt?: string | Message[];
  completion: string | Message[];
  /** File and line, for messages. */
  where?: string | undefined;
}

const COLUMNS = 'Give it "text", "messages", or "prompt" and "completion"';

/** Texts, as a form of data. */
export const TEXTS: DataForm<TextRow> = {
  columns: ['text', 'messages', 'prompt', 'completion'],
  needed: [['text'], ['messages'], ['completion']],
  wayOut: COLUMNS,
  toRows: (value, where) => [toTextRow(value, where)],
};

/** The rows of a JSONL (or JSON) text; {@link InputError} names the first bad one. */
export function readTextRows(text: string, file: string): TextRow[] {
  return parseDataset(text, file, TEXTS);
}

/** One row, checked. */
export function toTextRow(value: JsonObject, where: string): TextRow {
  const whole = (['text', 'messages'] as const).find(
    (column) => value[column] !== undefined && value[column] !== null,
  );
  const column = whole ?? 'completion';
  if (value[column] === undefined || value[column] === null) {
    const found = listed(Object.keys(value).map((key) => quote(key)));
    throw new InputError(where, `the row has nothing to learn from, only ${found}`, COLUMNS);
  }
  const completion = side(value[column], column, where);
  if (isEmpty(completion)) {
    throw new InputError(where, `"${column}" is empty`, 'Write something, or remove the row');
  }
  if (whole) return { completion, where };
  const prompt = side(value.prompt ?? '', 'prompt', where);
  if (typeof prompt !== typeof completion) {
    throw new InputError(where, '"prompt" and "completion" are not both text or both messages', COLUMNS);
  }
  return { prompt, completion, where };
}
