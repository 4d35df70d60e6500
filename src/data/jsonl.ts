/**
 * Reads rows of data from text: JSON Lines, one object per line, or one JSON list of objects. Each row stores its position,
 * and each error names file and line.
 */
import { type ByteSource, readAll } from '../io/byte-source.ts';
import { InputError } from '../io/errors.ts';
import { parseExactJson } from '../io/exact-json.ts';
import { decodeText, textPieces } from '../io/files.ts';
import { isObject, kindOf, scanJson } from '../io/json.ts';
import { type DataForm, type DataRow, type Table, unreadNotice } from './data-form.ts';

/** Characters of a line. V8's strings have fewer than 2²⁹, and a piece of the file may be added before this is checked. */
const LONGEST_LINE = 2 ** 29 - 2 ** 21;

/** The rows of `text`; blank lines are skipped. Throws {@link InputError} if there are none. */
export function parseRows(text: string, file: string): DataRow[] {
  const lines = text.replace(/^\uFEFF/, '').split('\n');
  const rows = isList(text)
    ? listRows(text, file)
    : lines.flatMap((line, index) => lineRow(line, file, index + 1));
  return someRows(rows, file);
}

/** The rows of a file. Lines are read piece by piece, so a large file is never in memory as a whole, unless it is a list. */
export async function readJsonRows(source: ByteSource): Promise<DataRow[]> {
  const { name: file } = source;
  const rows: DataRow[] = [];
  /** The parts of the unfinished line at the end of the pieces read so far. */
  let open: string[] = [];
  let length = 0;
  let number = 0;
  let isBlank = true;
  for await (const piece of textPieces(source)) {
    if (isBlank && isList(piece)) return parseRows(decodeText(await readAll(source), file), file);
    isBlank &&= piece.trim() === '';
    const [first = '', ...others] = piece.split('\n');
    open.push(first);
    length = (others.length === 0 ? length : 0) + (others.at(-1) ?? first).length;
    if (length > LONGEST_LINE) throw tooLong(file, number + others.length + 1);
    for (const next of others) {
      rows.push(...lineRow(open.join(''), file, ++number));
      open = [next];
    }
  }
  rows.push(...lineRow(open.join(''), file, ++number));
  return someRows(rows, file);
}

function tooLong(file: string, number: number): InputError {
  const what = `the line has more than ${LONGEST_LINE} characters`;
  return new InputError(`${file}, line ${number}`, what, 'Put one JSON object on each line, or use Parquet');
}

function someRows(rows: DataRow[], file: string): DataRow[] {
  if (rows.length > 0) return rows;
  throw new InputError(file, 'contains no rows', 'Put one JSON object on each line');
}

const isList = (text: string) => /^\uFEFF?\s*\[/.test(text);

/**
 * The rows of a JSONL (or JSON) text in the given form. Throws {@link InputError} for the first invalid row. `onNotice`
 * reports columns that are not read.
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

/** A table whose columns are those of its rows. */
export function tableOf(rows: DataRow[]): Table {
  const columns = new Set<string>();
  for (const { value } of rows) for (const name of Object.keys(value)) columns.add(name);
  return { rows, columns };
}

function listRows(text: string, file: string): DataRow[] {
  const list = parseExactJson(text, file) as unknown[];
  return list.map((value, index) => rowOf(value, `${file}, row ${index + 1}`));
}

/** The row of a line; empty for a blank line. */
function lineRow(line: string, file: string, number: number): DataRow[] {
  if (line.trim() === '') return [];
  return [rowOf(parseLine(line, file, number), `${file}, line ${number}`)];
}

function rowOf(value: unknown, where: string): DataRow {
  if (isObject(value)) return { where, value };
  throw new InputError(where, `contains ${kindOf(value)}, not an object`, 'Put one JSON object on each line');
}

function parseLine(line: string, file: string, number: number): unknown {
  if (line.startsWith('\uFEFF')) {
    const what = 'begins with a byte order mark, which only the first line may have';
    throw new InputError(`${file}, line ${number}`, what, 'Remove it from this line');
  }
  try {
    return parseExactJson(line, file);
  } catch (cause) {
    if (scanJson(line).error === line.length) {
      const wayOut =
        'Put each object on one line or all of them in a list, or fetch the file again if it was cut off';
      throw new InputError(`${file}, line ${number}`, 'the line ends inside a JSON value', wayOut, { cause });
    }
    // Parsed again after as many empty lines, so that the error counts lines from the file's start.
    return parseExactJson('\n'.repeat(number - 1) + line, file);
  }
}
