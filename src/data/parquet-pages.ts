/**
 * Walks the pages of a column chunk of a Parquet file before the library decodes them. The library trusts the page headers,
 * so a damaged one could make it loop or fill the memory. Stores nothing.
 */
import type { CompressionCodec, PageHeader, SchemaTree } from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';
import { deltaBinaryUnpack } from 'hyparquet/src/delta.js';
import { readRleBitPackedHybrid } from 'hyparquet/src/encoding.js';
import { getMaxDefinitionLevel, getMaxRepetitionLevel, isFlatColumn } from 'hyparquet/src/schema.js';
import type { Compressors } from 'hyparquet-compressors';
import { InputError } from '../io/errors.ts';
import { checkRuns, DAMAGED, measureThrift, named, type ParquetBudget } from './parquet-limits.ts';

/** A column chunk of a row group, and its path in the schema tree. */
export interface ColumnPiece {
  bytes: Uint8Array;
  path: SchemaTree[];
  codec: CompressionCodec;
  /** Number of rows of the row group. */
  rows: number;
}

/** Throws {@link InputError} if the pages are inconsistent, or exceed the remaining `budget`. */
export function checkPages(piece: ColumnPiece, codecs: Compressors, budget: ParquetBudget): void {
  const { bytes, path, rows } = piece;
  const view = viewOf(bytes);
  const column = path.at(-1)?.path.join('.') ?? '';
  // In a column without lists, each value is a row, and reading ends with the last row; a list column is read to the end of
  // the chunk.
  const flat = isFlatColumn(path);
  let seen = 0;
  for (let at = 0; at < bytes.byteLength - 1 && !(flat && seen >= rows); ) {
    const { start, header } = named(budget.file, `a page of "${column}"`, () => ({
      start: measureThrift(view, at),
      header: parquetHeader({ view, offset: at }),
    }));
    const { compressed_page_size: packed, uncompressed_page_size: unpacked } = header;
    const values = valuesOf(header);
    const whole = [packed, unpacked, values].every((size) => Number.isInteger(size) && size >= 0);
    if (!whole || packed > bytes.byteLength - start) {
      const what = `a page of "${column}" claims ${packed} bytes, ${unpacked} unpacked, ${values} values`;
      throw new InputError(budget.file, what, DAMAGED);
    }
    budget.spend(unpacked, values, column);
    at = start + packed;
    named(budget.file, `a page of "${column}"`, () =>
      checkPage(bytes.subarray(start, at), header, piece, codecs, budget),
    );
    if (header.type !== 'DICTIONARY_PAGE') seen += values;
  }
  if (!flat || seen === rows) return;
  throw new InputError(budget.file, `"${column}" has ${seen} values for ${rows} rows`, DAMAGED);
}

function valuesOf({ data_page_header, data_page_header_v2, dictionary_page_header }: PageHeader): number {
  return (data_page_header ?? data_page_header_v2 ?? dictionary_page_header)?.num_values ?? 0;
}

/** The runs of a page: repetition and definition levels, then the values if they are dictionary indices. */
function checkPage(
  packed: Uint8Array,
  header: PageHeader,
  piece: ColumnPiece,
  codecs: Compressors,
  budget: ParquetBudget,
): void {
  const { data_page_header: first, data_page_header_v2: second } = header;
  const page = first ?? second;
  if (!page) return;
  const levels = [getMaxRepetitionLevel(piece.path), getMaxDefinitionLevel(piece.path)];
  const unpack = (bytes: Uint8Array, length: number) =>
    piece.codec === 'UNCOMPRESSED' ? bytes : (codecs[piece.codec]?.(bytes, length) ?? bytes);
  let rest = packed;
  /** Number of values that are not missing. */
  let filled = page.num_values - (second?.num_nulls ?? 0);
  const isDelta = page.encoding === 'DELTA_BYTE_ARRAY';
  /** Checks runs of `length` bytes; by default, the four bytes before them contain the length. */
  const runs = (bitWidth: number, length = lengthBefore()): void => {
    checkRuns(rest.subarray(0, length), bitWidth, page.num_values);
    rest = rest.subarray(length);
  };
  const lengthBefore = (): number => {
    const length = new DataView(rest.buffer, rest.byteOffset, rest.byteLength).getUint32(0, true);
    rest = rest.subarray(4);
    return length;
  };
  if (second) {
    const lengths = [second.repetition_levels_byte_length, second.definition_levels_byte_length];
    levels.forEach((level, i) => {
      if (level > 0) runs(widthOf(level), lengths[i]);
    });
    const before = (lengths[0] ?? 0) + (lengths[1] ?? 0);
    rest = packed.subarray(before);
    if (second.is_compressed !== false) rest = unpack(rest, header.uncompressed_page_size - before);
  } else {
    rest = unpack(packed, header.uncompressed_page_size);
    for (const [i, level] of levels.entries()) {
      if (level === 0) continue;
      const before = rest;
      runs(widthOf(level));
      if (i === 1 && isDelta) filled = countFilled(before, level, page.num_values);
    }
  }
  if (isDelta) budget.spend(lengthOfDeltas(rest, filled), 0, piece.path.at(-1)?.path.join('.') ?? '');
  if (page.encoding.endsWith('_DICTIONARY')) checkRuns(rest.subarray(1), rest[0] ?? 0, page.num_values);
  else if (page.encoding === 'RLE') runs(1);
}

/** Number of bits of a level. */
function widthOf(level: number): number {
  return 32 - Math.clz32(level);
}

/** Number of values at the deepest level, from the definition levels at the start of `bytes`, after their length. */
function countFilled(bytes: Uint8Array, deepest: number, count: number): number {
  const levels: number[] = new Array(count).fill(0);
  readRleBitPackedHybrid({ view: viewOf(bytes), offset: 0 }, widthOf(deepest), levels);
  return levels.filter((level) => level === deepest).length;
}

/** Bytes of delta-encoded texts: the length of the prefix shared with the previous text, plus the length of the suffix. */
function lengthOfDeltas(bytes: Uint8Array, count: number): number {
  if (count === 0) return 0;
  const reader = { view: viewOf(bytes), offset: 0 };
  let total = 0;
  for (let part = 0; part < 2; part++) {
    const lengths = new Int32Array(count);
    deltaBinaryUnpack(reader, count, lengths);
    for (const length of lengths) {
      if (length < 0) throw new Error('a text has a negative length');
      total += length;
    }
  }
  return total;
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
