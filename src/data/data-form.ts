/**
 * What a kind of data looks like, as data: the columns that are read, those that must be there, and how a row is checked.
 * The readers of files ask nothing else about it.
 */
import { own } from '../base/lookup.ts';
import { InputError, listed, quote } from '../io/errors.ts';

/** What a row holds: JSON, with numbers as Python has them (`io/exact-json.ts`). */
export type RowValue = Readonly<Record<string, unknown>>;

/** A row as it stands in a file. */
export interface DataRow {
  /** File and line, or file and row, for messages. */
  where: string;
  value: RowValue;
}

/** What the reader of a format finds. */
export interface Table {
  rows: DataRow[];
  /** The columns of the file, also those that are not read. */
  columns: Iterable<string>;
}

/** What a person may allow the reader of a file. */
export interface ReadOptions {
  /** How many times as much as usual a packed file may unfold to; 1. */
  maxUnfold?: number | undefined;
}

/** One kind of data; {@link DataForm.toRows} throws {@link InputError} for a row that is none. */
export interface DataForm<Row> {
  /** Columns that are looked at; a table's others are not read. Or all that there are. */
  columns: readonly string[] | 'all';
  /** Sets of columns, one of which must be there; of several the first is read. */
  needed: readonly (readonly string[])[];
  /** What to do where none is. */
  wayOut: string;
  toRows(value: RowValue, where: string): Row[];
}

/** What the readers of tables ask of a form. */
export type TableForm = Pick<DataForm<unknown>, 'columns' | 'needed' | 'wayOut'>;

/** The columns of a table that `form` looks at; {@link InputError} names those there are where some are missing. */
export function chooseColumns(found: readonly string[], form: TableForm, file: string): string[] {
  const chosen = found.filter((column) => isRead(column, form));
  if (hasNeeded(found, form)) return chosen;
  const columns = listed(found.map((column) => quote(column)));
  const what = `has the columns ${columns}, and none of these sets: ${sets(form.needed)}`;
  throw new InputError(file, what, form.wayOut);
}

/** Whether a form looks at a column. */
function isRead(column: string, { columns }: TableForm): boolean {
  return columns === 'all' || columns.includes(column);
}

/** The columns in which a row has a value, for a message. */
export function columnsOf(row: RowValue): string {
  const filled = Object.entries(row).filter(([, value]) => value !== null);
  return listed(filled.map(([column]) => quote(column)));
}

/** Whether what must be there is. */
export function hasNeeded(found: readonly string[], { needed }: TableForm): boolean {
  return needed.some((set) => set.every((column) => found.includes(column)));
}

/** The first of the sets of columns that a row has, `undefined` where it has none. */
export function setOf(row: RowValue, needed: TableForm['needed']): readonly string[] | undefined {
  return needed.find((set) => set.every((column) => (own(row, column) ?? null) !== null));
}

/** A line about the columns of a table that nobody reads, where there are any. */
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
