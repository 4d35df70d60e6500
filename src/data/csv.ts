/**
 * Rows out of comma- or tab-separated text whose first line names the columns. A cell is text as it stands, with three
 * exceptions that a table of text needs: an empty cell is a missing value, `label` is true or false, and messages stand in
 * a cell as JSON. Nothing is guessed: neither the separator nor the kind of a column.
 */

import Papa from 'papaparse';
import { own } from '../base/lookup.ts';
import { InputError, listed, quote } from '../io/errors.ts';
import { type Json, parseJson } from '../io/json.ts';
import { chooseColumns, type DataRow, type TableForm } from './data-form.ts';

/** A line of the table: its cells and the number of the text's line on which it starts. */
interface Line {
  cells: string[];
  number: number;
}

/** What a label may be written as, in lower case. */
const LABELS: Readonly<Record<string, boolean>> = { true: true, false: false, 1: true, 0: false };

/** The columns in which TRL's conversational data has messages. */
const MESSAGE_COLUMNS = ['messages', 'prompt', 'completion', 'chosen', 'rejected'];
/** How a list of messages begins as JSON, and as Python prints it. */
const MESSAGES = /^\s*\[\s*\{\s*"/;
const PYTHON_LIST = /^\s*\[\s*\{\s*'/;

/** The rows of `text`. {@link InputError} names the line of what is malformed. */
export function parseCsv(text: string, file: string, delimiter: string, form: TableForm): DataRow[] {
  const [head, ...lines] = linesOf(text.replace(/^\uFEFF/, ''), file, delimiter);
  if (!head) throw new InputError(file, 'holds no rows', 'Name the columns in its first line');
  const names = head.cells;
  const seen = new Set<string>();
  const twice = names.find((name) => seen.has(name) || !seen.add(name));
  if (twice !== undefined) {
    throw new InputError(
      `${file}, line ${head.number}`,
      `names the column ${quote(twice)} twice`,
      'Rename one',
    );
  }
  const columns = chooseColumns(names, form, file).map((name) => ({ name, at: names.indexOf(name) }));
  if (lines.length === 0)
    throw new InputError(file, 'holds no rows', 'Put rows below the names of the columns');
  return lines.map(({ cells, number }) => {
    const where = `${file}, line ${number}`;
    if (cells.length !== names.length) {
      const what = `has ${cells.length} cells, and the first line names ${names.length} columns: ${listed(names)}`;
      throw new InputError(where, what, 'Put a cell that holds the separator or a new line in double quotes');
    }
    const values = columns.flatMap(({ name, at }) => {
      const cell = cells[at] as string;
      return cell === '' ? [] : [[name, cellValue(cell, name, where)] as const];
    });
    return { where, value: Object.fromEntries(values) };
  });
}

/** The lines that hold something. */
function linesOf(text: string, file: string, delimiter: string): Line[] {
  const lines: Line[] = [];
  let number = 1;
  let counted = 0;
  Papa.parse<string[]>(text, {
    delimiter,
    step: ({ data: cells, errors: [error], meta: { cursor } }) => {
      if (error) {
        const wayOut = 'Write a double quote inside a quoted cell twice, and close every one';
        throw new InputError(`${file}, line ${number}`, `is not valid: ${error.message}`, wayOut);
      }
      if (cells.length > 1 || cells[0] !== '') lines.push({ cells, number });
      for (; counted < cursor; counted++) if (text.charCodeAt(counted) === 10) number++;
    },
  });
  return lines;
}

function cellValue(cell: string, column: string, where: string): Json {
  if (column === 'label') return own(LABELS, cell.trim().toLowerCase()) ?? cell;
  if (!MESSAGE_COLUMNS.includes(column)) return cell;
  if (MESSAGES.test(cell)) return parseJson(cell, `${where}, "${column}"`);
  if (!PYTHON_LIST.test(cell)) return cell;
  throw new InputError(
    where,
    `"${column}" holds messages as Python prints them, not as JSON`,
    'Save the data as Parquet or JSON Lines: dataset.to_parquet(…), dataset.to_json(…)',
  );
}
