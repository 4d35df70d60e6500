/**
 * Reads GGUF, versions 2 and 3, little-endian. The file is untrusted: each length, count, offset and type is checked
 * against the file before memory is allocated, and each error names the file and the key or the tensor. A tensor's bytes
 * are read on request. Does not interpret metadata or tensors.
 */
import type { ByteSource } from '../byte-source.ts';
import { InputError, quote } from '../errors.ts';
import { BLOCKS, isBlocks } from '../quantised.ts';
import type { TensorSource } from '../safetensors.ts';
import {
  ALIGNMENT,
  ARRAY_CODE,
  aligned,
  type GgufArray,
  type GgufDtype,
  type GgufValue,
  MAGIC,
  NUMBER_TYPES,
  type NumberArray,
  type NumberType,
  STRING_CODE,
  TENSOR_TYPES,
} from './writer.ts';

/** The content of a file, in the file's order. */
export interface Gguf {
  metadata: Map<string, GgufValue>;
  tensors: Map<string, TensorSource>;
}

/** A file's header; tensor offsets count from the beginning of the file. */
export interface GgufHeader {
  metadata: Map<string, GgufValue>;
  tensors: Map<string, TensorEntry>;
}

interface TensorEntry extends Omit<TensorSource, 'read'> {
  begin: number;
  bytes: number;
}

const VERSIONS = [2, 3];
/** Headers consist mostly of the vocabulary: the longest known take 20 MB. */
const MAX_HEADER_BYTES = 100_000_000;
const FIRST_READ = 2 ** 16;
const MAX_DIMENSIONS = 4;
/** Maximum depth of nested lists. */
const MAX_DEPTH = 4;
/** Minimum size of an entry: the lengths of its texts, its types and its numbers. */
const LEAST_BYTES = { metadata: 13, tensor: 24, string: 8, array: 12 };
const WAY_OUT = 'The file is damaged or incomplete: fetch it again';

const NUMBERS = Object.entries(NUMBER_TYPES) as [NumberType, (typeof NUMBER_TYPES)[NumberType]][];
const NUMBER_BY_CODE = new Map(NUMBERS.map(([type, { code }]) => [code as number, type]));
const DTYPES = Object.entries(TENSOR_TYPES) as [GgufDtype, number][];
const DTYPE_BY_CODE = new Map(DTYPES.map(([dtype, code]) => [code, dtype]));

/** Reads the header. Throws {@link InputError} if it is invalid. */
export async function openGguf(source: ByteSource): Promise<Gguf> {
  const { metadata, tensors } = await readHeader(source);
  const read = ({ begin, bytes, ...tensor }: TensorEntry): TensorSource => ({
    ...tensor,
    read: () => source.read(begin, bytes),
  });
  return { metadata, tensors: new Map([...tensors].map(([name, entry]) => [name, read(entry)])) };
}

/** The length of the header is only known at its end: if the prefix was too short, read four times as much. */
async function readHeader(source: ByteSource): Promise<GgufHeader> {
  const most = Math.min(source.size, MAX_HEADER_BYTES);
  for (let length = FIRST_READ; ; length *= 4) {
    const prefix = await source.read(0, Math.min(length, most));
    const header = parseGgufHeader(prefix, source.size, source.name);
    if (header) return header;
    if (length < most) continue;
    throw new InputError(source.name, `the header is longer than ${MAX_HEADER_BYTES} bytes`, WAY_OUT);
  }
}

/** Parses the header of a file of `size` bytes from its first bytes; undefined if these are too few. */
export function parseGgufHeader(
  prefix: Uint8Array<ArrayBuffer>,
  size: number,
  file: string,
): GgufHeader | undefined {
  try {
    return parse(new Cursor(prefix, size, file));
  } catch (error) {
    if (error === TOO_SHORT) return undefined;
    throw error;
  }
}

function parse(cursor: Cursor): GgufHeader {
  const { file, size } = cursor;
  if (size < 4 || cursor.uint32() !== MAGIC) {
    throw new InputError(file, 'is not GGUF: it does not begin with these letters', 'Check the file');
  }
  const version = cursor.uint32();
  if (!VERSIONS.includes(version)) {
    const known = VERSIONS.join(' and ');
    throw new InputError(
      file,
      `has the unsupported GGUF version ${version}`,
      `Supported versions: ${known}. Convert it again`,
    );
  }
  const tensorCount = cursor.count('tensors', LEAST_BYTES.tensor);
  const metadataCount = cursor.count('metadata', LEAST_BYTES.metadata);

  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < metadataCount; i++) {
    cursor.where = `${file}, key ${i}`;
    const key = cursor.text();
    cursor.where = `${file}, key ${quote(key)}`;
    if (metadata.has(key)) throw cursor.wrong('is given twice');
    metadata.set(key, cursor.value());
  }
  const tensors = new Map<string, TensorEntry>();
  for (let i = 0; i < tensorCount; i++) {
    cursor.where = `${file}, tensor ${i}`;
    const name = cursor.text();
    cursor.where = `${file}, tensor ${quote(name)}`;
    if (tensors.has(name)) throw cursor.wrong('is given twice');
    tensors.set(name, tensorEntry(cursor));
  }
  layOut(tensors, alignmentOf(metadata, file), cursor);
  return { metadata, tensors };
}

/** A table entry; `begin` is the stored offset, relative to the first boundary after the header. */
function tensorEntry(cursor: Cursor): TensorEntry {
  const dimensions = cursor.uint32();
  if (dimensions > MAX_DIMENSIONS) throw cursor.wrong(`has ${dimensions} dimensions`);
  const sizes = Array.from({ length: dimensions }, () => cursor.uint64());
  const code = cursor.uint32();
  const dtype = DTYPE_BY_CODE.get(code);
  if (!dtype) {
    const known = `Supported types: ${Object.keys(TENSOR_TYPES).join(', ')}. Convert the file to one of them`;
    throw new InputError(cursor.where, `GGUF type ${code} is not supported`, known);
  }
  const block = isBlocks(dtype) ? BLOCKS[dtype] : { elements: 1, bytes: dtype === 'F32' ? 4 : 2 };
  if ((sizes[0] ?? 1) % block.elements !== 0) {
    throw cursor.wrong(
      `has rows of ${sizes[0]} numbers, which is not a multiple of the block size of ${dtype}`,
    );
  }
  let bytes = block.bytes / block.elements;
  for (const size of sizes) {
    bytes *= size;
    if (bytes > cursor.size) throw cursor.wrong(`is larger than the file (${sizes.join(' × ')} of ${dtype})`);
  }
  return { dtype, shape: sizes.reverse(), where: cursor.where, begin: cursor.uint64(), bytes };
}

/** Sets `begin` of all tensors. They must be inside the file, aligned, and must not overlap. */
function layOut(tensors: ReadonlyMap<string, TensorEntry>, alignment: number, cursor: Cursor): void {
  const start = aligned(cursor.at, alignment);
  let end = start;
  for (const tensor of [...tensors.values()].sort((a, b) => a.begin - b.begin || a.bytes - b.bytes)) {
    const { begin, bytes, where } = tensor;
    if (begin % alignment !== 0) {
      throw new InputError(where, `begins at ${begin}, which is not a multiple of ${alignment}`, WAY_OUT);
    }
    tensor.begin = start + begin;
    if (tensor.begin < end) throw new InputError(where, 'overlaps the tensor before it', WAY_OUT);
    end = tensor.begin + bytes;
    if (end > cursor.size) {
      throw new InputError(where, `ends at byte ${end} of a file of ${cursor.size}`, WAY_OUT);
    }
  }
}

function alignmentOf(metadata: ReadonlyMap<string, GgufValue>, file: string): number {
  const given = metadata.get('general.alignment');
  if (!given) return ALIGNMENT;
  const { type, value } = given;
  if (type === 'uint32' && typeof value === 'number' && value > 0 && Number.isInteger(Math.log2(value)))
    return value;
  const found = type === 'uint32' ? value : `of type ${type}`;
  throw new InputError(`${file}, key "general.alignment"`, `is ${found}, not a power of two`, WAY_OUT);
}

/** Thrown if the prefix ends before the header does. */
const TOO_SHORT = new Error('the prefix is too short');

/** Reads sequentially through the first bytes of a file. */
class Cursor {
  at = 0;
  /** The item that is being read, for error messages. */
  where: string;
  private readonly view: DataView;
  private readonly decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  constructor(
    private readonly prefix: Uint8Array<ArrayBuffer>,
    readonly size: number,
    readonly file: string,
  ) {
    this.where = file;
    this.view = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength);
  }

  wrong(what: string): InputError {
    return new InputError(this.where, what, WAY_OUT);
  }

  uint32(): number {
    return this.view.getUint32(this.skip(4), true);
  }

  /** A length, a count or an offset; valid ones are below 2⁵³. */
  uint64(): number {
    const at = this.skip(8);
    const upper = this.view.getUint32(at + 4, true);
    if (upper >= 2 ** 21) throw this.wrong(`claims the number ${upper * 2 ** 32}`);
    return upper * 2 ** 32 + this.view.getUint32(at, true);
  }

  /** A number of items of at least `least` bytes each; throws if the remaining bytes cannot contain them. */
  count(what: string, least: number): number {
    const count = this.uint64();
    if (count * least <= this.size - this.at) return count;
    throw this.wrong(`claims ${count} ${what}, but only ${this.size - this.at} bytes follow`);
  }

  text(): string {
    const length = this.count('bytes of text', 1);
    const at = this.skip(length);
    try {
      return this.decoder.decode(this.prefix.subarray(at, at + length));
    } catch {
      throw this.wrong('contains text that is not UTF-8');
    }
  }

  value(): GgufValue {
    const code = this.uint32();
    if (code === STRING_CODE) return { type: 'string', value: this.text() };
    if (code === ARRAY_CODE) return this.array(1);
    const type = this.numberType(code);
    return { type, value: this.numbers(type, 1)[0] };
  }

  private array(depth: number): GgufArray {
    if (depth > MAX_DEPTH) throw this.wrong(`contains lists nested more than ${MAX_DEPTH} levels deep`);
    const code = this.uint32();
    if (code === STRING_CODE) {
      const value: string[] = [];
      for (let left = this.count('texts', LEAST_BYTES.string); left > 0; left--) value.push(this.text());
      return { type: 'array', of: 'string', value };
    }
    if (code === ARRAY_CODE) {
      const value: GgufArray[] = [];
      for (let left = this.count('lists', LEAST_BYTES.array); left > 0; left--)
        value.push(this.array(depth + 1));
      return { type: 'array', of: 'array', value };
    }
    const of = this.numberType(code);
    const count = this.count('numbers', NUMBER_TYPES[of].array.BYTES_PER_ELEMENT);
    return { type: 'array', of, value: this.numbers(of, count) };
  }

  private numbers(type: NumberType, count: number): NumberArray {
    const { array } = NUMBER_TYPES[type];
    const bytes = count * array.BYTES_PER_ELEMENT;
    const at = this.skip(bytes);
    const values = new array(this.prefix.slice(at, at + bytes).buffer);
    if (type === 'bool' && (values as Uint8Array).some((byte) => byte > 1)) {
      throw this.wrong('contains a boolean that is neither 0 nor 1');
    }
    return values;
  }

  private numberType(code: number): NumberType {
    const type = NUMBER_BY_CODE.get(code);
    if (type) return type;
    throw this.wrong(`has the unknown type ${code}`);
  }

  /** The offset of the next `length` bytes; advances past them. */
  private skip(length: number): number {
    const { at } = this;
    if (length > this.size - at) {
      throw this.wrong(`needs ${length} bytes from byte ${at}, but the file ends at ${this.size}`);
    }
    if (length > this.prefix.byteLength - at) throw TOO_SHORT;
    this.at += length;
    return at;
  }
}
