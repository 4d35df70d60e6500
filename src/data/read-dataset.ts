/**
 * Reads a data file in any supported format, chosen by the file extension. The first bytes of the file must match it; the
 * format is never guessed from them. Decoders other than JSON's are loaded on demand.
 */
import { inSlices, mapSliced } from '../base/slices.ts';
import { type ByteSource, readAll } from '../io/byte-source.ts';
import { InputError } from '../io/errors.ts';
import { decodeText } from '../io/files.ts';
import { type DataForm, type ReadOptions, type Table, type TableForm, unreadNotice } from './data-form.ts';
import { readJsonRows, tableOf } from './jsonl.ts';

interface Format {
  /** File extensions, in lower case. */
  endings: readonly string[];
  read(source: ByteSource, form: TableForm, options: ReadOptions): Promise<Table>;
}

const textOf = async (source: ByteSource) => decodeText(await readAll(source), source.name);
const separatedBy =
  (...delimiters: string[]): Format['read'] =>
  async (source, form) =>
    (await import('./csv.ts')).parseCsv(await textOf(source), source.name, delimiters, form);

/** All other names are read as JSON Lines or a JSON list. */
const JSON_ROWS: Format = {
  endings: ['.jsonl', '.json'],
  read: async (source) => tableOf(await readJsonRows(source)),
};

const FORMATS: readonly Format[] = [
  JSON_ROWS,
  // Excel separates cells by semicolons in locales with a decimal comma.
  { endings: ['.csv'], read: separatedBy(',', ';', '\t') },
  { endings: ['.tsv'], read: separatedBy('\t') },
  {
    endings: ['.parquet'],
    read: async (source, form, options) => (await import('./parquet.ts')).readParquet(source, form, options),
  },
];

/** Formats that are recognized by their first bytes, with advice if the file name does not match. */
const SIGNATURES: readonly { start: string; what: string; ending?: string; wayOut: string }[] = [
  { start: 'PAR1', what: 'a Parquet file', ending: '.parquet', wayOut: 'Rename it to end with .parquet' },
  { start: 'ARROW1', what: 'an Arrow file', wayOut: 'Write it as Parquet: dataset.to_parquet(…)' },
  { start: '\x1F\x8B', what: 'packed with gzip', wayOut: 'Unpack it first' },
  { start: '\x28\xB5\x2F\xFD', what: 'packed with zstd', wayOut: 'Unpack it first' },
  { start: 'BZh', what: 'packed with bzip2', wayOut: 'Unpack it first' },
  { start: '\xFD7zXZ', what: 'packed with xz', wayOut: 'Unpack it first' },
  {
    start: 'PK\x03\x04',
    what: 'a zip archive or a workbook',
    wayOut: 'Unpack it first, or save the sheet as CSV',
  },
  { start: '\xFF\xFE', what: 'UTF-16', wayOut: 'Save it as UTF-8' },
  { start: '\xFE\xFF', what: 'UTF-16', wayOut: 'Save it as UTF-8' },
];

/**
 * The rows of a file in the given form. Throws {@link InputError} with the file and the invalid row. `onNotice` reports
 * columns that are not read.
 */
export async function readDataset<Row>(
  source: ByteSource,
  form: DataForm<Row>,
  onNotice?: (line: string) => void,
  options: ReadOptions = {},
): Promise<Row[]> {
  const name = source.name.toLowerCase();
  const format = FORMATS.find(({ endings }) => endings.some((ending) => name.endsWith(ending))) ?? JSON_ROWS;
  await checkSignature(source, format);
  const table = await format.read(source, form, options);
  const rows = (
    await inSlices(mapSliced(table.rows, ({ value, where }) => form.toRows(value, where)))
  ).flat();
  const notice = unreadNotice(table, form, source.name);
  if (notice !== undefined) onNotice?.(notice);
  return rows;
}

async function checkSignature(source: ByteSource, { endings }: Format): Promise<void> {
  const bytes = await source.read(0, Math.min(8, source.size));
  const start = String.fromCharCode(...bytes);
  const found = SIGNATURES.find((signature) => start.startsWith(signature.start));
  if (found && (found.ending === undefined || !endings.includes(found.ending))) {
    throw new InputError(source.name, `is ${found.what}, according to its first bytes`, found.wayOut);
  }
  const expected = SIGNATURES.find(({ ending }) => ending !== undefined && endings.includes(ending));
  if (!expected || found === expected) return;
  throw new InputError(
    source.name,
    `is not ${expected.what}, according to its first bytes`,
    'Give it the extension of its format: .jsonl, .json, .csv or .tsv',
  );
}
