/**
 * Describes a kind of data: the columns that are read, those that are required, and how a row is validated. The file
 * readers depend on nothing else.
 */
import { own } from '../base/lookup.ts';
import { InputError, listed, quote } from '../io/errors.ts';

/** The content of a row: JSON, with numbers as in Python (`io/exact-json.ts`). */
export type RowValue = Readonly<Record<string, unknown>>;

/** A row as read from a file. */
export interface DataRow {
  /** File and line, or file and row, for error messages. */
  where: string;
  value: RowValue;
}

/** The result of a format's reader. */
export interface Table {
  rows: DataRow[];
  /** The columns of the file, including those that are not read. */
  columns: Iterable<string>;
}

/** Limits of the file reader that the user may raise. */
export interface ReadOptions {
  /** Factor on the usual size limit of a compressed file after decompression; default: 1. */
  maxUnfold?: number | undefined;
}

/** One kind of data. {@link DataForm.toRows} throws {@link InputError} for an invalid row. */
export interface DataForm<Row> {
  /** Columns that are read; a table's other columns are ignored. Or all columns. */
  columns: readonly string[] | 'all';
  /** Sets of columns, one of which is required; the first one that is present is read. */
  needed: readonly (readonly string[])[];
  /** What to do if none is present. */
  wayOut: string;
  toRows(value: RowValue, where: string): Row[];
}

/** The part of a form that table readers need. */
export type TableForm = Pick<DataForm<unknown>, 'columns' | 'needed' | 'wayOut'>;

/**
 * The columns of a table that `form` reads. Throws {@link InputError} with the existing columns if required ones are missing,
 * and for one that the table has twice; `where` is the place of their names.
 */
export function chooseColumns(
  found: readonly string[],
  form: TableForm,
  file: string,
  where = file,
): string[] {
  const chosen = found.filter((column) => isRead(column, form));
  const known = new Set<string>();
  const twice = chosen.find((name) => known.size === known.add(name).size);
  if (twice !== undefined) throw new InputError(where, `has the column ${quote(twice)} twice`, 'Rename one');
  if (hasNeeded(found, form)) return chosen;
  const columns = listed(found.map((column) => quote(column)));
  const what = `has the columns ${columns}, but needs one of these sets: ${sets(form.needed)}`;
  throw new InputError(file, what, form.wayOut);
}

/** Whether a form reads a column. */
function isRead(column: string, { columns }: TableForm): boolean {
  return columns === 'all' || columns.includes(column);
}

/** The columns in which a row has a value, for an error message. */
export function columnsOf(row: RowValue): string {
  const filled = Object.entries(row).filter(([, value]) => value !== null);
  return listed(filled.map(([column]) => quote(column)));
}

/** Whether a set of required columns is present. */
export function hasNeeded(found: readonly string[], { needed }: TableForm): boolean {
  return needed.some((set) => set.every((column) => found.includes(column)));
}

/** The first set of columns that a row has completely; undefined if there is none. */
export function setOf(row: RowValue, needed: TableForm['needed']): readonly string[] | undefined {
  return needed.find((set) => set.every((column) => (own(row, column) ?? null) !== null));
}

/** A notice about the columns of a table that are not read, if there are any. */
export function unreadNotice({ rows, columns }: Table, form: TableForm, file: string): string | undefined {
  const unread = new Set<string>();
  for (const column of columns) if (!isRead(column, form)) unread.add(column);
  const inSets = new Set(form.needed.flat());
  for (const { value } of rows) {
    const set = setOf(value, form.needed) ?? [];
    for (const [column, held] of Object.entries(value)) {
      if (held !== null && inSets.has(column) && set.length > 0 && !set.includes(column)) unread.add(column);
    }
  }
  if (unread.size === 0) return undefined;
  const names = listed([...unread].map((column) => quote(column)));
  return `${file}: ${unread.size === 1 ? 'a column is' : 'columns are'} not read: ${names}.`;
}

function sets(needed: TableForm['needed']): string {
  return needed.map((set) => set.map((column) => `"${column}"`).join(' + ')).join(', ');
}
