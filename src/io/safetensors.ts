/**
 * Safetensors: eight bytes of header length, a JSON header, then the tensors' bytes without gaps. Input is untrusted:
 * lengths, names, shapes and offsets are checked before data is read, and each error names the file and the tensor. The
 * written files can be read by the Python package; equal tensors give equal bytes. Numbers are little-endian, as on every
 * machine with WebGPU.
 *
 * Format: https://github.com/huggingface/safetensors#format
 */
import { counted } from '../base/counted.ts';
import { isOwn, own } from '../base/lookup.ts';
import type { ByteSource } from './byte-source.ts';
import { InputError, listed, quote, reason } from './errors.ts';
import { isObject, type JsonObject, kindOf, scanJson } from './json.ts';
import type { BlockDtype } from './quantised.ts';
import type { StreamedFile } from './streamed-file.ts';

/** Bytes per element, by the format's type name. */
// biome-ignore format: a row for each size
const ELEMENT_BYTES = {
  BOOL: 1, U8: 1, I8: 1, F8_E4M3: 1, F8_E5M2: 1, F8_E8M0: 1,
  U16: 2, I16: 2, F16: 2, BF16: 2,
  U32: 4, I32: 4, F32: 4,
  U64: 8, I64: 8, F64: 8, C64: 8,
} as const;

export type SafetensorsDtype = keyof typeof ELEMENT_BYTES;
/** Types of weights: those of safetensors, and blocks. */
export type StoredDtype = SafetensorsDtype | BlockDtype;

/** A tensor as stored. */
export interface StoredTensor {
  dtype: SafetensorsDtype;
  shape: number[];
  /** A view of the file's bytes, any alignment. */
  data: Uint8Array<ArrayBuffer>;
  /** File and tensor, for error messages. */
  where: string;
}

/** A tensor in a file, whose bytes are read on request. */
export interface TensorSource extends Omit<StoredTensor, 'data' | 'dtype'> {
  dtype: StoredDtype;
  read(): Promise<Uint8Array<ArrayBuffer>>;
}

/** The content of a file, with tensors in the order of their bytes. */
export interface Safetensors<T = StoredTensor> {
  metadata: Record<string, string>;
  tensors: Map<string, T>;
}

/** The input of {@link writeSafetensors}. */
export type TensorToWrite = Pick<StoredTensor, 'dtype' | 'shape'> & { data: Uint8Array };

const LENGTH_BYTES = 8;
/** The limit of the Python package. */
const MAX_HEADER_BYTES = 100_000_000;
const WAY_OUT = 'The file is damaged or incomplete: fetch it again';

/** Reads a whole file. Throws {@link InputError} if it is invalid. The tensors are views of `bytes`. */
export function parseSafetensors(bytes: Uint8Array<ArrayBuffer>, file: string): Safetensors {
  const dataStart = endOfHeader(bytes, bytes.byteLength, file);
  const header = parseHeader(bytes.subarray(LENGTH_BYTES, dataStart), file);
  return layOut(header, bytes.byteLength - dataStart, file, (entry) => ({
    ...entry.tensor,
    data: bytes.subarray(dataStart + entry.begin, dataStart + entry.end),
  }));
}

/** Reads the header of a file with the same checks; a tensor's bytes are read on request. */
export async function openSafetensors(source: ByteSource): Promise<Safetensors<TensorSource>> {
  const { name: file, size } = source;
  const dataStart = endOfHeader(await source.read(0, Math.min(size, LENGTH_BYTES)), size, file);
  const header = parseHeader(await source.read(LENGTH_BYTES, dataStart - LENGTH_BYTES), file);
  return layOut(header, size - dataStart, file, (entry) => ({
    ...entry.tensor,
    read: () => source.read(dataStart + entry.begin, entry.end - entry.begin),
  }));
}

interface Entry {
  tensor: Omit<StoredTensor, 'data'>;
  /** Offset from the end of the header. */
  begin: number;
  end: number;
}

/** The tensors of a header, which must cover the file's data bytes without gaps. */
function layOut<T>(
  header: JsonObject,
  dataBytes: number,
  file: string,
  toTensor: (entry: Entry) => T,
): Safetensors<T> {
  const metadata = parseMetadata(header.__metadata__, file);
  const entries = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, entry]) => ({ name, ...parseEntry(entry, dataBytes, `${file}, tensor ${quote(name)}`) }))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);

  const tensors = new Map<string, T>();
  let covered = 0;
  for (const { name, ...entry } of entries) {
    const { begin, end, tensor } = entry;
    if (begin !== covered) {
      const what =
        begin < covered
          ? 'overlaps the tensor before it'
          : `leaves a gap of ${counted(begin - covered, 'byte')}`;
      throw new InputError(tensor.where, `${what} (data_offsets [${begin}, ${end}])`, WAY_OUT);
    }
    covered = end;
    tensors.set(name, toTensor(entry));
  }
  if (covered !== dataBytes) {
    throw new InputError(file, `the tensors end at byte ${covered} of ${dataBytes}`, WAY_OUT);
  }
  return { metadata, tensors };
}

/** The end of the header of a file of `size` bytes, from its first eight. */
function endOfHeader(bytes: Uint8Array<ArrayBuffer>, size: number, file: string): number {
  if (size < LENGTH_BYTES) {
    throw new InputError(file, `is ${counted(size, 'byte')} long, too short for safetensors`, WAY_OUT);
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset, LENGTH_BYTES).getBigUint64(0, true);
  const room = size - LENGTH_BYTES;
  if (length > BigInt(Math.min(room, MAX_HEADER_BYTES))) {
    const most =
      room < MAX_HEADER_BYTES ? `the file has ${room} after its length` : `the limit is ${MAX_HEADER_BYTES}`;
    throw new InputError(file, `the header claims ${length} bytes, but ${most}`, WAY_OUT);
  }
  return LENGTH_BYTES + Number(length);
}

function parseHeader(bytes: Uint8Array, file: string): JsonObject {
  let header: unknown;
  let scanned: ReturnType<typeof scanJson>;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    header = JSON.parse(text);
    scanned = scanJson(text);
  } catch (cause) {
    throw new InputError(file, `the header is not valid JSON: ${reason(cause)}`, WAY_OUT, { cause });
  }
  if (!isObject(header))
    throw new InputError(file, `the header is ${kindOf(header)}, not an object`, WAY_OUT);
  if (scanned.error !== undefined)
    throw new InputError(file, 'the header contains a malformed number', WAY_OUT);
  if (scanned.duplicate !== undefined) {
    throw new InputError(file, `the header contains ${quote(scanned.duplicate)} twice`, WAY_OUT);
  }
  return header;
}

function parseMetadata(metadata: unknown, file: string): Record<string, string> {
  if (metadata === undefined) return {};
  if (!isObject(metadata))
    throw new InputError(file, `__metadata__ is ${kindOf(metadata)}, not an object`, WAY_OUT);
  for (const [name, value] of Object.entries(metadata)) {
    if (typeof value === 'string') continue;
    throw new InputError(file, `__metadata__ ${quote(name)} is ${kindOf(value)}, not a string`, WAY_OUT);
  }
  return metadata as Record<string, string>;
}

/** One header entry; its size must match its offsets and the file. */
function parseEntry(entry: unknown, dataBytes: number, where: string): Entry {
  if (!isObject(entry)) throw new InputError(where, `its entry is ${kindOf(entry)}, not an object`, WAY_OUT);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string' || !isOwn(ELEMENT_BYTES, dtype)) {
    const known = listed(Object.keys(ELEMENT_BYTES), 32);
    throw new InputError(where, `unknown dtype ${quote(dtype)}`, `Supported: ${known}. Convert the file`);
  }
  if (!isSizes(shape)) {
    throw new InputError(where, `shape ${quote(shape)} is not a list of whole numbers from 0`, WAY_OUT);
  }
  if (!isSizes(offsets) || offsets.length !== 2) {
    throw new InputError(
      where,
      `data_offsets ${quote(offsets)} is not a pair of whole numbers from 0`,
      WAY_OUT,
    );
  }
  const [begin, end] = offsets;
  if (begin > end || end > dataBytes) {
    throw new InputError(
      where,
      `data_offsets [${begin}, ${end}] lie outside the file's ${dataBytes} data bytes`,
      WAY_OUT,
    );
  }
  const kind = dtype;
  let size: number = ELEMENT_BYTES[kind];
  for (const dimension of shape) {
    size *= dimension;
    if (size > Number.MAX_SAFE_INTEGER)
      throw new InputError(where, `shape ${quote(shape)} overflows`, WAY_OUT);
  }
  if (size !== end - begin) {
    const what = `${kind} ${quote(shape)} takes ${size} bytes, but its data_offsets [${begin}, ${end}] span ${end - begin}`;
    throw new InputError(where, what, WAY_OUT);
  }
  return { tensor: { dtype: kind, shape, where }, begin, end };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

/** A tensor's type and shape. */
type Header = Pick<StoredTensor, 'dtype' | 'shape'>;

/** A tensor to write, whose bytes are produced on request. */
export interface TensorToStream extends Header {
  read(): Promise<Uint8Array>;
}

const bytesOf = ({ dtype, shape }: Header): number =>
  shape.reduce((product, dimension) => product * dimension, ELEMENT_BYTES[dtype]);

/** The file order of the Python package: wide types first, then by name. */
const inOrder = <T extends Header>(tensors: ReadonlyMap<string, T>): [string, T][] =>
  [...tensors].sort(([a, x], [b, y]) => ELEMENT_BYTES[y.dtype] - ELEMENT_BYTES[x.dtype] || (a < b ? -1 : 1));

/** Length and header, padded with spaces to a multiple of eight, for tensors in file order. */
function headOf(ordered: readonly [string, Header][], metadata: Record<string, string>) {
  const lines: string[] = [];
  const keys = Object.keys(metadata).sort();
  if (keys.length > 0) {
    lines.push(
      `"__metadata__":{${keys.map((key) => `${JSON.stringify(key)}:${JSON.stringify(own(metadata, key))}`).join()}}`,
    );
  }
  let bytes = 0;
  for (const [name, entry] of ordered) {
    const { dtype, shape } = entry;
    const size = bytesOf(entry);
    lines.push(
      `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [bytes, bytes + size] })}`,
    );
    bytes += size;
  }
  const header = new TextEncoder().encode(`{${lines.join()}}`);
  const headerBytes = Math.ceil(header.byteLength / LENGTH_BYTES) * LENGTH_BYTES;
  const head = new Uint8Array(LENGTH_BYTES + headerBytes);
  new DataView(head.buffer).setBigUint64(0, BigInt(headerBytes), true);
  head.fill(0x20, LENGTH_BYTES);
  head.set(header, LENGTH_BYTES);
  return { head, bytes };
}

function checkSize(name: string, entry: Header, data: Uint8Array): void {
  const size = bytesOf(entry);
  if (size === data.byteLength) return;
  throw new RangeError(
    `tensor ${name}: ${entry.dtype} [${entry.shape}] takes ${size} bytes, got ${data.byteLength}`,
  );
}

/** A file of `tensors`. Equal tensors and metadata give equal bytes. */
export function writeSafetensors(
  tensors: ReadonlyMap<string, TensorToWrite>,
  metadata: Record<string, string> = {},
): Uint8Array<ArrayBuffer> {
  const ordered = inOrder(tensors);
  for (const [name, tensor] of ordered) checkSize(name, tensor, tensor.data);
  const { head, bytes } = headOf(ordered, metadata);
  const file = new Uint8Array(head.byteLength + bytes);
  file.set(head);
  let at = head.byteLength;
  for (const [, { data }] of ordered) {
    file.set(data, at);
    at += data.byteLength;
  }
  return file;
}

/** The same file piece by piece, with one tensor at a time in memory. */
export function streamSafetensors(
  tensors: ReadonlyMap<string, TensorToStream>,
  metadata: Record<string, string> = {},
): StreamedFile {
  const ordered = inOrder(tensors);
  const { head, bytes } = headOf(ordered, metadata);
  async function* pieces() {
    yield head;
    for (const [name, tensor] of ordered) {
      const data = await tensor.read();
      checkSize(name, tensor, data);
      yield data;
    }
  }
  return { bytes: head.byteLength + bytes, pieces };
}
