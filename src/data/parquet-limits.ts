/**
 * Checks sizes that a Parquet file claims against limits before anything is allocated: its footer, lists in its structures,
 * pages and runs. Decodes no values.
 */
import { InputError, reason } from '../io/errors.ts';

/** Maximum bytes of the footer, which lists the columns and their positions. */
const MOST_FOOTER_BYTES = 2 ** 26;
/** Maximum bytes of a decompressed page; writers use one or a few MiB. */
const MOST_PAGE_BYTES = 2 ** 28;
/** Maximum bytes and values of the columns that are read, for a whole file: more would not fit into a JavaScript heap. */
const MOST_BYTES = 2 ** 31;
const MOST_VALUES = 2 ** 26;
/**
 * The decompressed size that any file may have, and the size that a larger file may have per byte. Human-written text needs
 * a tenth of it; a constant column needs more and must be allowed with `maxUnfold`.
 */
const FREE_BYTES = 2 ** 26;
const BYTES_PER_BYTE = 64;
const FREE_VALUES = 2 ** 19;
const VALUES_PER_BYTE = 1;
/** Maximum depth of nested structures; Parquet's own have depth five. */
const MOST_DEPTH = 24;
/** A varint of 64 bits takes ten bytes. */
const MOST_VARINT_BYTES = 10;

/**
 * Packed values are stored in groups of at least eight, and a writer pads the last one: DuckDB's groups have 256. A reader
 * decodes them all.
 */
const MOST_FILLING = 511;

/** The decompressed content of a file. */
interface Unfolded {
  bytes: number;
  characters: number;
  values: number;
}

const RAISE =
  'If you trust the file, allow ten times as much by the option maxUnfold: 10, on the command line WEBALIGN_MAX_UNFOLD=10';
const TOO_LARGE = 'Split it into several files';
export const DAMAGED = 'The file is damaged: fetch it again, or write it again with pyarrow or datasets';

/**
 * Walks a structure in Thrift's compact protocol from `start` and returns its end. After this check, every list has as many
 * elements as it claims, so a reader that trusts it needs no more memory than a multiple of `view`.
 */
export function measureThrift(view: DataView, start: number): number {
  let at = start;
  const skip = (bytes: number): void => {
    if (!(bytes <= view.byteLength - at)) throw new Error('it ends too early');
    at += bytes;
  };
  const byte = (): number => {
    skip(1);
    return view.getUint8(at - 1);
  };
  const varint = (): number => {
    let value = 0;
    for (let i = 0; i < MOST_VARINT_BYTES; i++) {
      const next = byte();
      value += (next & 127) * 2 ** (7 * i);
      if (next < 128) return value;
    }
    throw new Error('a number is too long');
  };
  const struct = (depth: number): void => {
    for (let head = byte(); (head & 15) !== 0; head = byte()) {
      if (head >> 4 === 0) varint();
      value(head & 15, depth);
    }
  };
  const list = (depth: number): void => {
    const head = byte();
    const size = head >> 4 === 15 ? varint() : head >> 4;
    if (size > view.byteLength - at) throw new Error(`a list claims ${size} elements`);
    for (let i = 0; i < size; i++) {
      // In a list, a boolean takes a byte.
      if ((head & 15) <= 2) skip(1);
      else value(head & 15, depth);
    }
  };
  /** Indexed by type number: true and false, a byte, three widths of integers, a double, bytes, a list, a structure. */
  const kinds: ((depth: number) => unknown)[] = [];
  kinds[1] = kinds[2] = () => {};
  kinds[3] = () => skip(1);
  kinds[4] = kinds[5] = kinds[6] = varint;
  kinds[7] = () => skip(8);
  kinds[8] = () => skip(varint());
  kinds[9] = list;
  kinds[12] = struct;
  const value = (kind: number, depth: number): void => {
    const walk = kinds.at(kind);
    if (walk === undefined) throw new Error(`type ${kind} is unknown`);
    if (depth > MOST_DEPTH) throw new Error('it is nested too deeply');
    walk(depth + 1);
  };
  struct(0);
  return at;
}

/** The length of the footer according to the file's last eight bytes. Throws {@link InputError} if it cannot be valid. */
export function footerBytes(end: Uint8Array, fileBytes: number, file: string): number {
  const bytes = new DataView(end.buffer, end.byteOffset, 8).getUint32(0, true);
  if (bytes > fileBytes - 12) throw new InputError(file, `its footer claims ${bytes} bytes`, DAMAGED);
  if (bytes <= MOST_FOOTER_BYTES) return bytes;
  throw new InputError(file, `its footer has ${bytes} bytes; the limit is ${MOST_FOOTER_BYTES}`, TOO_LARGE);
}

/**
 * Walks `bytes` of runs, which are repeated values or packed ones of `bitWidth` bits each, up to `count` values. Throws if
 * a run has more values than remain, because a reader would write them all.
 */
export function checkRuns(bytes: Uint8Array, bitWidth: number, count: number): void {
  let at = 0;
  for (let seen = 0; seen < count && at < bytes.byteLength; ) {
    let header = 0;
    for (let shift = 0; ; shift += 7) {
      const next = bytes[at++] ?? 0;
      header += (next & 127) * 2 ** shift;
      if (next < 128) break;
    }
    const packed = header % 2 === 1;
    const values = Math.floor(header / 2) * (packed ? 8 : 1);
    if (seen + values > count + (packed ? MOST_FILLING : 0))
      throw new Error(`a run claims ${values} values of ${count}`);
    at += packed ? (values / 8) * bitWidth : Math.ceil(bitWidth / 8);
    seen += values;
  }
}

/** The remaining budget while a file is read. */
export class ParquetBudget {
  readonly file: string;
  private readonly fileBytes: number;
  private readonly most: Unfolded;
  private readonly left: Unfolded;

  /** `maxUnfold`: factor on the usual decompressed size of a file of `fileBytes`. */
  constructor(file: string, fileBytes = MOST_BYTES, maxUnfold = 1) {
    if (!(maxUnfold > 0)) throw new InputError('maxUnfold', `is ${maxUnfold}`, 'Give a number above 0');
    this.file = file;
    this.fileBytes = fileBytes;
    const bytes = Math.min(MOST_BYTES, maxUnfold * Math.max(FREE_BYTES, BYTES_PER_BYTE * fileBytes));
    const values = Math.min(MOST_VALUES, maxUnfold * Math.max(FREE_VALUES, VALUES_PER_BYTE * fileBytes));
    this.most = { bytes, characters: bytes, values };
    this.left = { ...this.most };
  }

  /** Charges a page of `column`. */
  spend(bytes: number, values: number, column: string): void {
    this.take('bytes', this.unpacked(bytes), `up to its column "${column}"`);
    this.take('values', values, `up to its column "${column}"`);
  }

  /** Charges a text; one text of a page may appear in many rows. */
  spendText({ length }: string, where: string): void {
    this.take('characters', length, `up to ${where}`);
  }

  /** Throws {@link InputError} if the footer claims more values of the columns that are read than remain. */
  checkRows(rows: number, columns: number): void {
    if (rows * columns > this.left.values) throw this.tooMuch('values', `${rows} rows of ${columns} columns`);
  }

  private take(kind: keyof Unfolded, amount: number, where: string): void {
    this.left[kind] -= amount;
    if (this.left[kind] < 0) throw this.tooMuch(kind, where);
  }

  private tooMuch(kind: keyof Unfolded, where: string): InputError {
    const most = this.most[kind];
    const what = `decompresses to more than ${most} ${kind}, ${where}, which is too much for a file of ${this.fileBytes} bytes`;
    const isRaisable = most < (kind === 'values' ? MOST_VALUES : MOST_BYTES);
    return new InputError(this.file, what, isRaisable ? RAISE : TOO_LARGE);
  }

  /** The decompressed bytes of a page, if within the limit of a page. */
  unpacked(bytes: number): number {
    if (bytes >= 0 && bytes <= MOST_PAGE_BYTES) return bytes;
    throw new InputError(this.file, `a page has ${bytes} bytes; the limit is ${MOST_PAGE_BYTES}`, TOO_LARGE);
  }
}

/** Converts an error of `read` into one that names the file and the part. */
export function named<T>(file: string, what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof InputError) throw cause;
    throw new InputError(file, `${what} cannot be read: ${reason(cause)}`, DAMAGED, { cause });
  }
}
