/**
 * What a kind of data looks like, as data: the columns that are read, those that must be there, and how a row is checked.
 * The readers of files ask nothing else about it.
 */
import { InputError, listed, quote } from '../io/errors.ts';
import type { JsonObject } from '../io/json.ts';

/** A row as it stands in a file. */
export interface DataRow {
  /** File and line, or file and row, for messages. */
  where: string;
  value: JsonObject;
}

/** One kind of data; {@link DataForm.toRows} throws {@link InputError} for a row that is none. */
export interface DataForm<Row> {
  /** Columns that are looked at; a table's others are not read. Or all that there are. */
  columns: readonly string[] | 'all';
  /** Sets of columns, one of which must be there. */
  needed: readonly (readonly string[])[];
  /** What to do where none is. */
  wayOut: string;
  toRows(value: JsonObject, where: string): Row[];
}

/** What the readers of tables ask of a form. */
export type TableForm = Pick<DataForm<unknown>, 'columns' | 'needed' | 'wayOut'>;

/** The columns of a table that `form` looks at; {@link InputError} names those there are where some are missing. */
export function chooseColumns(
  found: readonly string[],
  { columns, needed, wayOut }: TableForm,
  file: string,
): string[] {
  const chosen = found.filter((column) => columns === 'all' || columns.includes(column));
  if (needed.some((set) => set.every((column) => chosen.includes(column)))) return chosen;
  const what = `has the columns ${listed(found.map((column) => quote(column)))}, and none of these sets: ${sets(needed)}`;
  throw new InputError(file, what, wayOut);
}

function sets(needed: TableForm['needed']): string {
  return needed.map((set) => set.map((column) => `"${column}"`).join(' + ')).join(', ');
}
