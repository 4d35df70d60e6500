/**
 * Rows of data out of text: JSON Lines, one object a line, or one JSON list of objects. Each row knows where it
 * stood, and each error says file and line.
 */
import { InputError } from '../io/errors.ts';
import { parseExactJson } from '../io/exact-json.ts';
import { isObject, kindOf } from '../io/json.ts';
import { type DataForm, type DataRow, type Table, unreadNotice } from './data-form.ts';

/** The rows of `text`; blank lines are passed over. {@link InputError} where there are none. */
export function parseRows(text: string, file: string): DataRow[] {
  const rows = /^\uFEFF?\s*\[/.test(text) ? listRows(text, file) : lineRows(text, file);
  if (rows.length === 0) throw new InputError(file, 'holds no rows', 'Put one JSON object on each line');
  return rows.map(({ where, value }) => {
    if (isObject(value)) return { where, value };
    throw new InputError(where, `holds ${kindOf(value)}, not an object`, 'Put one JSON object on each line');
  });
}

/**
 * The rows of a JSONL (or JSON) text in the form that is asked for; {@link InputError} names the first bad one. `onNotice` hears of
 * columns that are not read.
 */
export function parseDataset<Row>(
  text: string,
  file: string,
  form: DataForm<Row>,
  onNotice?: (line: string) => void,
): Row[] {
  const table = tableOf(parseRows(text, file));
  const rows = table.rows.flatMap(({ value, where }) => form.toRows(value, where));
  const notice = unreadNotice(table, form, file);
  if (notice !== undefined) onNotice?.(notice);
  return rows;
}

/** Rows with all of their columns. */
export function tableOf(rows: DataRow[]): Table {
  const columns = new Set<string>();
  for (const { value } of rows) for (const name of Object.keys(value)) columns.add(name);
  return { rows, columns };
}

function listRows(text: string, file: string): { where: string; value: unknown }[] {
  const list = parseExactJson(text, file) as unknown[];
  return list.map((value, index) => ({ where: `${file}, row ${index + 1}`, value }));
}

function lineRows(text: string, file: string): { where: string; value: unknown }[] {
  return text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map((line, index) => ({ line, number: index + 1 }))
    .filter(({ line }) => line.trim() !== '')
    .map(({ line, number }) => ({ where: `${file}, line ${number}`, value: parseLine(line, file, number) }));
}

function parseLine(line: string, file: string, number: number): unknown {
  try {
    return parseExactJson(line, file);
  } catch {
    // Parsed again behind as many empty lines, so that the error counts from the file's start.
    return parseExactJson('\n'.repeat(number - 1) + line, file);
  }
}
