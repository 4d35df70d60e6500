/**
 * Data for supervised fine-tuning: rows of `text`, of `messages`, or of `prompt` and `completion`. If a row has several of
 * them, TRL's order decides (`SFTTrainer._prepare_dataset`, 1.16). Validates each row and names the invalid one; does not
 * depend on tokens.
 */
import { own } from '../base/lookup.ts';
import { InputError } from '../io/errors.ts';
import { isObject } from '../io/json.ts';
import { CHAT_COLUMNS, type ChatColumns, chatColumns } from './chat-columns.ts';
import type { Message } from './chat-template.ts';
import { columnsOf, type DataForm, type RowValue, setOf } from './data-form.ts';
import { parseDataset } from './jsonl.ts';
import { isEmpty, textOrMessages } from './messages.ts';

/** A text or a conversation; `prompt` contains the part before the completion, if the two are separate. */
export interface TextRow extends ChatColumns {
  prompt?: string | Message[];
  completion: string | Message[];
  /** File and line, for error messages. */
  where?: string | undefined;
}

const COLUMNS = 'Give it "text", "messages", or "prompt" and "completion"';

/** The first set that a row has is used. */
const SETS = [['prompt', 'completion'], ['completion'], ['messages'], ['conversations'], ['text']] as const;

/** Columns that hold messages only. */
const CONVERSATIONS: readonly string[] = ['messages', 'conversations'];

/** The data form of texts. */
export const TEXTS: DataForm<TextRow> = {
  columns: ['prompt', 'completion', 'messages', 'conversations', 'text', ...CHAT_COLUMNS],
  needed: SETS,
  wayOut: COLUMNS,
  toRows: (value, where) => [toTextRow(value, where)],
};

/**
 * The rows of a JSONL (or JSON) text. Throws {@link InputError} for the first invalid row. `onNotice` reports columns that
 * are not read.
 */
export function readTextRows(text: string, file: string, onNotice?: (line: string) => void): TextRow[] {
  return parseDataset(text, file, TEXTS, onNotice);
}

/** Validates one row. */
export function toTextRow(value: RowValue, where: string): TextRow {
  const column = setOf(value, SETS)?.at(-1);
  if (column === undefined) {
    const found = columnsOf(value);
    throw new InputError(where, `the row has no column to learn from, only ${found}`, COLUMNS);
  }
  const given = own(value, column);
  if (typeof given === 'string' && CONVERSATIONS.includes(column)) {
    const wayOut = 'Give a list of {"role", "content"} messages, or name the column "text"';
    throw new InputError(where, `"${column}" is text, not a list of messages`, wayOut);
  }
  const completion = textOrMessages(chatML(given), column, where);
  if (isEmpty(completion)) {
    throw new InputError(where, `"${column}" is empty`, 'Write something, or remove the row');
  }
  const row = { completion, ...chatColumns(value, where), where };
  if (column !== 'completion') return row;
  const prompt = textOrMessages(chatML(value.prompt ?? ''), 'prompt', where);
  if (typeof prompt !== typeof completion) {
    throw new InputError(where, '"prompt" and "completion" must be both text or both messages', COLUMNS);
  }
  return { ...row, prompt };
}

/** Renames the fields of `from`/`value` turns to those of messages (TRL's `maybe_convert_to_chatml`). */
function chatML(value: unknown): unknown {
  const isTurn = (turn: unknown) => isObject(turn) && typeof turn.from === 'string' && 'value' in turn;
  if (!(Array.isArray(value) && value.every(isTurn))) return value;
  return value.map(({ from: role, value: content, ...rest }) => ({ role, content, ...rest }));
}
