/**
 * Writes GGUF, llama.cpp's file format: a header, typed metadata, a table of tensors, then their aligned bytes. Defines the
 * types and writes version 3, little-endian; equal content gives equal bytes. gguf/reader.ts reads it. Does not depend on
 * any model.
 *
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import type { BlockDtype } from '../quantised.ts';
import type { StreamedFile } from '../streamed-file.ts';

/** Metadata consisting of one or several numbers: the format's type code, and the array type. A boolean is one byte, 0 or 1. */
export const NUMBER_TYPES = {
  uint8: { code: 0, array: Uint8Array },
  int8: { code: 1, array: Int8Array },
  uint16: { code: 2, array: Uint16Array },
  int16: { code: 3, array: Int16Array },
  uint32: { code: 4, array: Uint32Array },
  int32: { code: 5, array: Int32Array },
  float32: { code: 6, array: Float32Array },
  bool: { code: 7, array: Uint8Array },
  uint64: { code: 10, array: BigUint64Array },
  int64: { code: 11, array: BigInt64Array },
  float64: { code: 12, array: Float64Array },
} as const;

export type NumberType = keyof typeof NUMBER_TYPES;
export type NumberArray = InstanceType<(typeof NUMBER_TYPES)[NumberType]['array']>;

export type GgufArray =
  | { type: 'array'; of: NumberType; value: NumberArray }
  | { type: 'array'; of: 'string'; value: readonly string[] }
  | { type: 'array'; of: 'array'; value: readonly GgufArray[] };

/** A value of the metadata. */
export type GgufValue =
  | { type: 'string'; value: string }
  | { type: NumberType; value: number | bigint }
  | GgufArray;

/** Codes of the supported tensor types. */
export const TENSOR_TYPES = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q5_0: 6,
  Q5_1: 7,
  Q8_0: 8,
  Q4_K: 12,
  Q5_K: 13,
  Q6_K: 14,
  BF16: 30,
} as const satisfies Record<BlockDtype | 'F32' | 'F16' | 'BF16', number>;

export type GgufDtype = keyof typeof TENSOR_TYPES;

export interface GgufTensor {
  /** Row-major, as everywhere here; the file lists the fastest dimension first. */
  shape: readonly number[];
  dtype: GgufDtype;
  data: Uint8Array;
}

export const MAGIC = 0x46554747; // "GGUF"
export const STRING_CODE = 8;
export const ARRAY_CODE = 9;
/** The default alignment. */
export const ALIGNMENT = 32;
const VERSION = 3;

/** A tensor whose bytes are produced on request. */
export interface GgufStreamedTensor extends Omit<GgufTensor, 'data'> {
  bytes: number;
  read(): Promise<Uint8Array>;
}

type Entry = Omit<GgufTensor, 'data'> & { bytes: number };

/** The bytes before the tensors, padded to the alignment, and the size of the tensors. */
function headOf(metadata: ReadonlyMap<string, GgufValue>, tensors: readonly (readonly [string, Entry])[]) {
  const alignment = Number(metadata.get('general.alignment')?.value ?? ALIGNMENT);
  const head = new Bytes();
  head.numbers('uint32', [MAGIC, VERSION]);
  head.numbers('uint64', [BigInt(tensors.length), BigInt(metadata.size)]);
  for (const [key, value] of metadata) {
    head.text(key);
    head.value(value);
  }
  let offset = 0;
  for (const [name, { shape, dtype, bytes }] of tensors) {
    head.text(name);
    head.numbers('uint32', [shape.length]);
    head.numbers('uint64', [...shape].reverse().map(BigInt));
    head.numbers('uint32', [TENSOR_TYPES[dtype]]);
    head.numbers('uint64', [BigInt(offset)]);
    offset += aligned(bytes, alignment);
  }
  const filled = new Uint8Array(aligned(head.length, alignment));
  head.copyTo(filled);
  return { head: filled, bytes: offset, alignment };
}

/** A file of metadata and tensors, both in the given order. */
export function writeGguf(
  metadata: ReadonlyMap<string, GgufValue>,
  tensors: ReadonlyMap<string, GgufTensor>,
): Uint8Array<ArrayBuffer> {
  const entries = [...tensors].map(
    ([name, { data, ...rest }]) => [name, { ...rest, bytes: data.byteLength }] as const,
  );
  const { head, bytes, alignment } = headOf(metadata, entries);
  const file = new Uint8Array(head.byteLength + bytes);
  file.set(head);
  let at = head.byteLength;
  for (const { data } of tensors.values()) {
    file.set(data, at);
    at += aligned(data.byteLength, alignment);
  }
  return file;
}

/** The same file piece by piece, with one tensor at a time in memory. */
export function streamGguf(
  metadata: ReadonlyMap<string, GgufValue>,
  tensors: ReadonlyMap<string, GgufStreamedTensor>,
): StreamedFile {
  const { head, bytes, alignment } = headOf(metadata, [...tensors]);
  async function* pieces() {
    yield head;
    for (const [name, { bytes, read }] of tensors) {
      const data = await read();
      if (data.byteLength !== bytes)
        throw new RangeError(`tensor ${name} takes ${bytes} bytes, got ${data.byteLength}`);
      yield data;
      yield new Uint8Array(aligned(bytes, alignment) - bytes);
    }
  }
  return { bytes: head.byteLength + bytes, pieces };
}

/** The next multiple of the alignment. */
export function aligned(bytes: number, alignment: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}

/** Accumulates little-endian numbers and texts. */
class Bytes {
  private readonly parts: Uint8Array[] = [];
  length = 0;

  numbers(type: NumberType, values: Iterable<number | bigint>): void {
    const { buffer, byteOffset, byteLength } = numberArray(type, values);
    this.add(new Uint8Array(buffer, byteOffset, byteLength));
  }

  /** UTF-8, preceded by its length. */
  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.numbers('uint64', [BigInt(bytes.byteLength)]);
    this.add(bytes);
  }

  /** A value, preceded by the code of its type. */
  value(value: GgufValue): void {
    this.numbers('uint32', [codeOf(value.type)]);
    if (value.type === 'array') this.array(value);
    else if (value.type === 'string') this.text(value.value);
    else this.numbers(value.type, [value.value]);
  }

  copyTo(file: Uint8Array): void {
    let at = 0;
    for (const part of this.parts) {
      file.set(part, at);
      at += part.byteLength;
    }
  }

  private array(array: GgufArray): void {
    this.numbers('uint32', [codeOf(array.of)]);
    this.numbers('uint64', [BigInt(array.value.length)]);
    if (array.of === 'string') for (const text of array.value) this.text(text);
    else if (array.of === 'array') for (const inner of array.value) this.array(inner);
    else this.numbers(array.of, array.value);
  }

  private add(bytes: Uint8Array): void {
    this.parts.push(bytes);
    this.length += bytes.byteLength;
  }
}

function codeOf(type: NumberType | 'string' | 'array'): number {
  if (type === 'string') return STRING_CODE;
  return type === 'array' ? ARRAY_CODE : NUMBER_TYPES[type].code;
}

function numberArray(type: NumberType, values: Iterable<number | bigint>): NumberArray {
  const from = NUMBER_TYPES[type].array as unknown as {
    from(values: Iterable<number | bigint>): NumberArray;
  };
  return from.from(values);
}
