/**
 * Reads rows from comma- or tab-separated text whose first line names the columns. Cells are text, with three exceptions:
 * an empty cell is a missing value, `label` is true or false, and messages are JSON in a cell.
 */
import { counted } from '../base/counted.ts';
import { own } from '../base/lookup.ts';
import { InputError, listed } from '../io/errors.ts';
import { parseExactJson } from '../io/exact-json.ts';
import { scanJson } from '../io/json.ts';
import { csvLines, type Line } from './csv-lines.ts';
import {
  chooseColumns,
  type DataRow,
  hasNeeded,
  type RowValue,
  type Table,
  type TableForm,
} from './data-form.ts';
import { looksLikeMessages, TURNS } from './messages.ts';

/** Accepted spellings of a label, in lower case. */
const LABELS: Readonly<Record<string, boolean>> = {
  true: true,
  false: false,
  1: true,
  0: false,
  '1.0': true,
  '0.0': false,
};

/** The columns that contain messages in TRL's conversational data. The columns of answers determine how the prompt is read. */
const ANSWERS = ['messages', 'conversations', 'completion', 'chosen', 'rejected'];
const PROMPT = 'prompt';
/** The line that Excel reads the separator from, before the names of the columns. */
const EXCEL_SEPARATOR = /^"?sep=(.)"?(?=[\r\n])/i;

/** Excel leaves out separators at the end of a line; an unquoted line break looks the same. */
const FEWER_CELLS =
  'End the line with a separator for each empty cell; if a cell contains a line break, put it in double quotes';
const MORE_CELLS = 'Put a cell that contains the separator in double quotes';

/**
 * The rows of `text`, split at the first of the `delimiters` that yields the required columns. Throws {@link InputError}
 * with the line.
 */
export function parseCsv(text: string, file: string, delimiters: readonly string[], form: TableForm): Table {
  const marked = text.replace(/^\uFEFF/, '');
  const named = EXCEL_SEPARATOR.exec(marked)?.[1];
  // Left blank, so that lines are counted from the file's first.
  const body = marked.replace(EXCEL_SEPARATOR, '');
  const tried = named === undefined ? delimiters : [named];
  const delimiter = tried.find((each) => hasNeeded(headOf(body, file, each)?.cells ?? [], form));
  const [head, ...all] = csvLines(body, file, delimiter ?? tried[0]);
  if (!head) throw new InputError(file, 'contains no rows', 'Name the columns in its first line');
  const names = head.cells;
  // In a table of one column spaces are a text.
  const lines =
    names.length === 1 ? all : all.filter(({ cells }) => cells.join('').trim() !== '' || cells.length > 1);
  const chosen = chooseColumns(names, form, file, `${file}, line ${head.number}`);
  const places = new Map<string, number>();
  for (const [at, name] of names.entries()) if (!places.has(name)) places.set(name, at);
  if (lines.length === 0) throw new InputError(file, 'contains no rows', 'Put rows below the column names');
  const hasPromptsAlone = form.needed.some((set) => set.length === 1 && set[0] === PROMPT);
  const columns = chosen.map((name) => ({ name, at: places.get(name)! }));
  const rows = lines.map(({ cells, number }): DataRow => {
    const where = `${file}, line ${number}`;
    if (cells.length !== names.length) {
      const what = `has ${counted(cells.length, 'cell')}, but the first line names ${counted(names.length, 'column')}: ${listed(names)}`;
      throw new InputError(where, what, cells.length < names.length ? FEWER_CELLS : MORE_CELLS);
    }
    const filled = columns.flatMap(({ name, at }): [string, string][] => {
      const cell = cells[at];
      return cell === '' ? [] : [[name, cell]];
    });
    return { where, value: rowOf(filled, where, hasPromptsAlone) };
  });
  return { rows, columns: names };
}

function headOf(text: string, file: string, delimiter: string): Line | undefined {
  try {
    return csvLines(text, file, delimiter, 1)[0];
  } catch {
    return undefined; // the error for the first separator is reported
  }
}

/**
 * Messages are read as such if all answers of a row are messages; otherwise the row is text. If the data has only prompts, a row
 * has messages if its prompt has.
 */
function rowOf(
  cells: readonly (readonly [string, string])[],
  where: string,
  hasPromptsAlone: boolean,
): RowValue {
  const plain = Object.fromEntries(
    cells.map(([name, cell]) => [name, name === 'label' ? labelOf(cell) : cell]),
  );
  const answers = cells.filter(([name]) => ANSWERS.includes(name));
  const prompt = cells.filter(([name]) => name === PROMPT);
  const deciding = answers.length === 0 && hasPromptsAlone ? prompt : answers;
  const read = deciding.map(([name, cell]) => [name, messagesOf(cell, name, where)] as const);
  if (read.length === 0 || read.some(([, messages]) => messages === undefined)) return plain;
  const prompts = prompt.map(([name, cell]) => [name, messagesOf(cell, name, where) ?? cell] as const);
  return { ...plain, ...Object.fromEntries([...prompts, ...read]) };
}

const labelOf = (cell: string) => own(LABELS, cell.trim().toLowerCase()) ?? cell;

/** The messages in a cell; undefined if the cell is text. */
function messagesOf(cell: string, column: string, where: string): unknown {
  if (isPrintedByPython(cell)) {
    throw new InputError(
      where,
      `"${column}" contains messages in Python's syntax, not as JSON`,
      'Save the data as Parquet or JSON Lines: dataset.to_parquet(…), dataset.to_json(…)',
    );
  }
  if (!/^\s*\[\s*\{/.test(cell)) return undefined;
  try {
    const value = parseExactJson(cell, `${where}, "${column}"`);
    return looksLikeMessages(value) ? value : undefined;
  } catch (error) {
    if (isDamaged(cell)) throw error;
    return undefined;
  }
}

/** Whether invalid JSON was meant to be messages: it is truncated, or ends like messages. */
function isDamaged(cell: string): boolean {
  const text = cell.trimEnd();
  return (
    /^\s*\[\s*\{\s*"(?:role|content|from|value)"\s*:\s*"/.test(text) &&
    (text.endsWith(']') || scanJson(text).error === text.length)
  );
}

function isPrintedByPython(cell: string): boolean {
  if (!(/^\s*\[\s*\{'\w+': /.test(cell) && cell.trimEnd().endsWith(']'))) return false;
  return TURNS.some((keys) => keys.every((key) => cell.includes(`'${key}': `)));
}
