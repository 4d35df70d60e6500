/**
 * Prompts to generate completions for: rows of `prompt`, text or messages, and any other columns, which are passed to the
 * rewards unchanged. Validates each row and names the invalid one; does not depend on tokens.
 */
import { InputError } from '../io/errors.ts';
import type { Json } from '../io/json.ts';
import type { Message } from './chat-template.ts';
import { columnsOf, type DataForm, type RowValue } from './data-form.ts';
import { parseDataset } from './jsonl.ts';
import { textOrMessages } from './messages.ts';

export interface PromptRow {
  prompt: string | Message[];
  /** The row's other columns. */
  columns?: Readonly<Record<string, Json>>;
  /** File and line, for error messages. */
  where?: string | undefined;
}

/** The data form of prompts. */
export const PROMPTS: DataForm<PromptRow> = {
  columns: 'all',
  needed: [['prompt']],
  wayOut: 'Give it a column "prompt", text or messages',
  toRows: (value, where) => [toPromptRow(value, where)],
};

/**
 * The rows of a JSONL (or JSON) text. Throws {@link InputError} for the first invalid row. `onNotice` reports columns that
 * are not read.
 */
export function readPromptRows(text: string, file: string, onNotice?: (line: string) => void): PromptRow[] {
  return parseDataset(text, file, PROMPTS, onNotice);
}

/** Validates one row. */
export function toPromptRow({ prompt, ...columns }: RowValue, where: string): PromptRow {
  if (prompt === undefined || prompt === null) {
    throw new InputError(where, `the row has no "prompt", only ${columnsOf(columns)}`, PROMPTS.wayOut);
  }
  return { prompt: textOrMessages(prompt, 'prompt', where), columns: columns as Record<string, Json>, where };
}
