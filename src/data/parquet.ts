/**
 * Reads rows from Parquet, one row group at a time and only the requested columns. hyparquet decodes; this file provides
 * bytes, checks the file's claims against limits first, and converts the results to plain values. It never writes.
 */
import {
  type AsyncBuffer,
  type ColumnMetaData,
  type FileMetaData,
  parquetMetadata,
  parquetReadObjects,
  parquetSchema,
  type RowGroup,
  type SchemaTree,
} from 'hyparquet';
import { getTreePath, isListLike, isMapLike } from 'hyparquet/src/schema.js';
import { type Compressors, compressors, decompressZstd } from 'hyparquet-compressors';
import type { ByteSource } from '../io/byte-source.ts';
import { InputError, reason } from '../io/errors.ts';
import { Float, parseExactJson } from '../io/exact-json.ts';
import {
  chooseColumns,
  type DataRow,
  type ReadOptions,
  type RowValue,
  type Table,
  type TableForm,
} from './data-form.ts';
import { DAMAGED, footerBytes, measureThrift, ParquetBudget } from './parquet-limits.ts';
import { checkPages } from './parquet-pages.ts';

/** Marker at both ends of the file. */
export const PARQUET_MAGIC = 'PAR1';

/** Strict UTF-8: invalid bytes are rejected, and a byte order mark is a character. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The rows of a file. Throws {@link InputError} that says what is wrong with it. */
export async function readParquet(
  source: ByteSource,
  form: TableForm,
  { maxUnfold }: ReadOptions = {},
): Promise<Table> {
  const budget = new ParquetBudget(source.name, source.size, maxUnfold);
  const metadata = await readFooter(source);
  const tree = attempt(source, () => parquetSchema(metadata));
  const found = tree.children.map(({ element }) => element.name);
  const columns = chooseColumns(found, form, source.name);
  const codecs = boundedCodecs(budget);
  const all = metadata.row_groups.reduce((sum, { num_rows }) => sum + wholeNumber(num_rows, source), 0);
  budget.checkRows(all, columns.length);
  const rows: DataRow[] = [];
  for (const group of metadata.row_groups) {
    const count = wholeNumber(group.num_rows, source);
    if (count === 0) continue;
    await checkGroup(source, group, tree, columns, codecs, budget);
    const read = await attempt(source, () =>
      parquetReadObjects({
        file: bufferOf(source),
        // Only this group, so that its rows are numbered from its first.
        metadata: { ...metadata, row_groups: [group], num_rows: BigInt(count) },
        columns,
        compressors: codecs,
        // Columns that are not declared as text are bytes, as in pyarrow.
        utf8: false,
        parsers: {
          stringFromBytes: (bytes) => bytes && UTF8.decode(bytes),
          jsonFromBytes: (bytes) => bytes && parseExactJson(UTF8.decode(bytes), source.name),
        },
      }),
    );
    for (const row of read) {
      const where = `${source.name}, row ${rows.length + 1}`;
      rows.push({ where, value: rowOf(row, tree, where, budget) });
    }
  }
  if (rows.length === 0) throw new InputError(source.name, 'contains no rows', 'Write rows into it');
  return { rows, columns: found };
}

async function readFooter(source: ByteSource): Promise<FileMetaData> {
  const last = source.size < 12 ? undefined : await source.read(source.size - 8, 8);
  if (!last || new TextDecoder('latin1').decode(last.subarray(4)) !== PARQUET_MAGIC) {
    throw new InputError(source.name, `does not end with ${PARQUET_MAGIC}`, DAMAGED);
  }
  const length = footerBytes(last, source.size, source.name);
  const footer = await source.read(source.size - 8 - length, length + 8);
  const view = new DataView(footer.buffer, footer.byteOffset, footer.byteLength);
  return attempt(source, () => {
    measureThrift(view, 0);
    return parquetMetadata(footer, { geoparquet: false });
  });
}

/** Checks the pages of the columns of a row group before the library reads them. */
async function checkGroup(
  source: ByteSource,
  group: RowGroup,
  tree: SchemaTree,
  columns: readonly string[],
  codecs: Compressors,
  budget: ParquetBudget,
): Promise<void> {
  for (const { meta_data: meta } of group.columns) {
    if (!meta || !columns.includes(meta.path_in_schema[0] ?? '')) continue;
    const bytes = await source.read(...placeOf(meta, source));
    const path = attempt(source, () => getTreePath(tree, meta.path_in_schema));
    checkPages({ bytes, path, codec: meta.codec, rows: Number(group.num_rows) }, codecs, budget);
  }
}

/** The position of a column chunk: offset and length. */
function placeOf(meta: ColumnMetaData, source: ByteSource): [number, number] {
  const start = meta.dictionary_page_offset || meta.data_page_offset;
  return [wholeNumber(start, source), wholeNumber(meta.total_compressed_size, source)];
}

function wholeNumber(value: bigint, source: ByteSource): number {
  if (typeof value === 'bigint' && value >= 0n && value <= Number.MAX_SAFE_INTEGER) return Number(value);
  throw new InputError(source.name, `its footer has the invalid size or offset ${value}`, DAMAGED);
}

/** The decompressors; none of them returns a page above the limit. */
function boundedCodecs(budget: ParquetBudget): Compressors {
  // Without an output buffer, zstd allocates one of the size that the compressed bytes claim.
  const all: Compressors = {
    ...compressors,
    ZSTD: (input, length) => decompressZstd(input, new Uint8Array(length)),
  };
  return Object.fromEntries(
    Object.entries(all).map(([name, unpack]) => [
      name,
      (input: Uint8Array, length: number) => unpack(input, budget.unpacked(length)),
    ]),
  );
}

function bufferOf(source: ByteSource): AsyncBuffer {
  return {
    byteLength: source.size,
    async slice(start, end = source.size) {
      const { buffer, byteOffset, byteLength } = await source.read(start, end - start);
      return buffer.slice(byteOffset, byteOffset + byteLength);
    },
  };
}

/** Converts the library's errors about a broken file into an {@link InputError} that names it. */
function attempt<T>(source: ByteSource, action: () => T): T {
  const refused = (cause: unknown) =>
    cause instanceof InputError
      ? cause
      : new InputError(source.name, `cannot be read as Parquet: ${reason(cause)}`, DAMAGED, { cause });
  try {
    const result = action();
    return (
      result instanceof Promise ? result.catch((cause) => Promise.reject(refused(cause))) : result
    ) as T;
  } catch (cause) {
    throw refused(cause);
  }
}

/** A row without its missing values. Null values inside messages are kept, as in transformers. */
function rowOf(
  row: Record<string, unknown>,
  tree: SchemaTree,
  where: string,
  budget: ParquetBudget,
): RowValue {
  const values = Object.entries(row).flatMap(([column, value]) =>
    value === null || value === undefined
      ? []
      : [[column, plain(value, childOf(tree, column), `${where}, "${column}"`, budget)] as const],
  );
  return Object.fromEntries(values);
}

const FLOATS: readonly (string | undefined)[] = ['FLOAT', 'DOUBLE'];

/**
 * A value in the form of the JSON reader (`io/exact-json.ts`): 64-bit integers are exact, and floats are distinct from
 * integers.
 */
function plain(value: unknown, node: SchemaTree | undefined, where: string, budget: ParquetBudget): unknown {
  if (typeof value === 'string') budget.spendText(value, where);
  if (value === null || value === undefined) return null;
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (typeof value === 'number') {
    const { type, logical_type: logical } = node?.element ?? {};
    const isFloat = FLOATS.includes(type) || logical?.type === 'FLOAT16';
    return isFloat && Number.isInteger(value) ? new Float(value) : value;
  }
  if (Array.isArray(value)) {
    const inner = node && isListLike(node) ? elementOf(node) : node;
    return value.map((each) => plain(each, inner, where, budget));
  }
  if (value instanceof Date) return value.toISOString();
  if (ArrayBuffer.isView(value))
    throw new InputError(where, 'contains bytes, not text', 'Write the column as text');
  // A JSON column is already parsed.
  if (typeof value !== 'object' || node?.children.length === 0) return value;
  const entry = node && isMapLike(node) ? node.children[0]?.children[1] : undefined;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      name,
      plain(each, entry ?? childOf(node, name), where, budget),
    ]),
  );
}

function childOf(node: SchemaTree | undefined, name: string): SchemaTree | undefined {
  return node?.children.find(({ element }) => element.name === name);
}

/** The element of a list; older writers omit a level. */
function elementOf({ children: [list] }: SchemaTree): SchemaTree | undefined {
  return list?.children.length === 1 ? list.children[0] : list;
}
