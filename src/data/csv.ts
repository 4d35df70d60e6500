/**
 * Rows out of comma- or tab-separated text whose first line names the columns. A cell is text as it stands, with exceptions that
 * a table of text needs: an empty cell is a missing value, `label` is true or false, and messages stand in a cell as JSON.
 */
import { counted } from '../base/counted.ts';
import { own } from '../base/lookup.ts';
import { InputError, listed, quote } from '../io/errors.ts';
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

/** What a label may be written as, in lower case. */
const LABELS: Readonly<Record<string, boolean>> = {
  true: true,
  false: false,
  1: true,
  0: false,
  '1.0': true,
  '0.0': false,
};

/** The columns in which TRL's conversational data has messages. Those of answers decide for the prompt. */
const ANSWERS = ['messages', 'conversations', 'completion', 'chosen', 'rejected'];
const PROMPT = 'prompt';
/** The line that Excel reads the separator from, before the names of the columns. */
const EXCEL_SEPARATOR = /^"?sep=(.)"?(?=[\r\n])/i;

/** The rows of `text`, whose cells the first of the `delimiters` parts that gives the columns. {@link InputError} names a line. */
export function parseCsv(text: string, file: string, delimiters: readonly string[], form: TableForm): Table {
  const marked = text.replace(/^\uFEFF/, '');
  const named = EXCEL_SEPARATOR.exec(marked)?.[1];
  // Left blank, so that lines are counted from the file's first.
  const body = marked.replace(EXCEL_SEPARATOR, '');
  const tried = named === undefined ? delimiters : [named];
  const delimiter = tried.find((each) => hasNeeded(headOf(body, file, each)?.cells ?? [], form));
  const [head, ...all] = csvLines(body, file, delimiter ?? (tried[0] as string));
  if (!head) throw new InputError(file, 'holds no rows', 'Name the columns in its first line');
  const names = head.cells;
  // In a table of one column spaces are a text.
  const lines =
    names.length === 1 ? all : all.filter(({ cells }) => cells.join('').trim() !== '' || cells.length > 1);
  const chosen = chooseColumns(names, form, file);
  const places = new Map<string, number>();
  for (const [at, name] of names.entries()) if (!places.has(name)) places.set(name, at);
  // Chosen are names of columns, as often as a column has them.
  const known = new Set<string>();
  const twice = chosen.find((name) => known.size === known.add(name).size);
  if (twice !== undefined) {
    const what = `names the column ${quote(twice)} twice`;
    throw new InputError(`${file}, line ${head.number}`, what, 'Rename one');
  }
  if (lines.length === 0)
    throw new InputError(file, 'holds no rows', 'Put rows below the names of the columns');
  const columns = chosen.map((name) => ({ name, at: places.get(name) as number }));
  const rows = lines.map(({ cells, number }): DataRow => {
    const where = `${file}, line ${number}`;
    if (cells.length !== names.length) {
      const what = `has ${counted(cells.length, 'cell')}, and the first line names ${counted(names.length, 'column')}: ${listed(names)}`;
      throw new InputError(where, what, 'Put a cell that holds the separator or a new line in double quotes');
    }
    const filled = columns.flatMap(({ name, at }): [string, string][] => {
      const cell = cells[at] as string;
      return cell === '' ? [] : [[name, cell]];
    });
    return { where, value: rowOf(filled, where) };
  });
  return { rows, columns: names };
}

function headOf(text: string, file: string, delimiter: string): Line | undefined {
  try {
    return csvLines(text, file, delimiter, 1)[0];
  } catch {
    return undefined; // with the first separator the error is told
  }
}

/** Messages are read as such if all answers of a row are messages, or its prompt if it has no answers; otherwise the row is text. */
function rowOf(cells: readonly (readonly [string, string])[], where: string): RowValue {
  const plain = Object.fromEntries(
    cells.map(([name, cell]) => [name, name === 'label' ? labelOf(cell) : cell]),
  );
  const answers = cells.filter(([name]) => ANSWERS.includes(name));
  const prompt = cells.filter(([name]) => name === PROMPT);
  const deciding = answers.length === 0 ? prompt : answers;
  const read = deciding.map(([name, cell]) => [name, messagesOf(cell, name, where)] as const);
  if (read.length === 0 || read.some(([, messages]) => messages === undefined)) return plain;
  const prompts = prompt.map(([name, cell]) => [name, messagesOf(cell, name, where) ?? cell] as const);
  return { ...plain, ...Object.fromEntries([...prompts, ...read]) };
}

const labelOf = (cell: string) => own(LABELS, cell.trim().toLowerCase()) ?? cell;

/** Messages in a cell, `undefined` where it is text. */
function messagesOf(cell: string, column: string, where: string): unknown {
  if (isPrintedByPython(cell)) {
    throw new InputError(
      where,
      `"${column}" holds messages as Python prints them, not as JSON`,
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

/** Whether what is no JSON was meant to be messages: it is cut off, or ends as they do. */
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
