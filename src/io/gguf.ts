/**
 * GGUF, the files of llama.cpp: a header, typed metadata, a table of tensors, then their bytes, each on a boundary of 32.
 * Writes version 3, little-endian, the same bytes for the same content; reads nothing, and knows no model.
 *
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */

/** Metadata of the kinds that are written here. */
export type GgufValue = { string: string } | { float32: number } | { uint32: number };

export interface GgufTensor {
  /** Row-major, as everywhere here: the file names the fastest dimension first. */
  shape: readonly number[];
  dtype: keyof typeof TENSOR_TYPES;
  data: Uint8Array;
}

const MAGIC = 0x46554747; // "GGUF"
const VERSION = 3;
const ALIGNMENT = 32;
/** Numbers of the format for a type of metadata and of tensors. */
const VALUE_TYPES = { uint32: 4, float32: 6, string: 8 } as const;
const TENSOR_TYPES = { F32: 0, F16: 1 } as const;

/** A file of metadata and tensors, both in the order given. */
export function writeGguf(
  metadata: ReadonlyMap<string, GgufValue>,
  tensors: ReadonlyMap<string, GgufTensor>,
): Uint8Array<ArrayBuffer> {
  const head = new Bytes();
  head.uint32(MAGIC);
  head.uint32(VERSION);
  head.uint64(tensors.size);
  head.uint64(metadata.size);
  for (const [key, value] of metadata) {
    head.text(key);
    if ('string' in value) {
      head.uint32(VALUE_TYPES.string);
      head.text(value.string);
    } else if ('float32' in value) {
      head.uint32(VALUE_TYPES.float32);
      head.float32(value.float32);
    } else {
      head.uint32(VALUE_TYPES.uint32);
      head.uint32(value.uint32);
    }
  }
  let offset = 0;
  for (const [name, { shape, dtype, data }] of tensors) {
    head.text(name);
    head.uint32(shape.length);
    for (const size of [...shape].reverse()) head.uint64(size);
    head.uint32(TENSOR_TYPES[dtype]);
    head.uint64(offset);
    offset += aligned(data.byteLength);
  }
  const start = aligned(head.length);
  const file = new Uint8Array(start + offset);
  file.set(head.bytes());
  let at = start;
  for (const { data } of tensors.values()) {
    file.set(data, at);
    at += aligned(data.byteLength);
  }
  return file;
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** Little-endian numbers and texts, one after the other. */
class Bytes {
  private readonly parts: Uint8Array[] = [];
  length = 0;

  uint32(value: number): void {
    this.number(4, (view) => view.setUint32(0, value, true));
  }

  uint64(value: number): void {
    this.number(8, (view) => view.setBigUint64(0, BigInt(value), true));
  }

  float32(value: number): void {
    this.number(4, (view) => view.setFloat32(0, value, true));
  }

  /** UTF-8 behind its length. */
  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.uint64(bytes.byteLength);
    this.add(bytes);
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.parts) {
      all.set(part, at);
      at += part.byteLength;
    }
    return all;
  }

  private number(size: number, set: (view: DataView) => void): void {
    const bytes = new Uint8Array(size);
    set(new DataView(bytes.buffer));
    this.add(bytes);
  }

  private add(bytes: Uint8Array): void {
    this.parts.push(bytes);
    this.length += bytes.byteLength;
  }
}
