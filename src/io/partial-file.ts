/**
 * A file that is still being fetched: bytes are appended in order and kept somewhere, on a disk, in a browser's storage or in
 * memory. Who fetches and who keeps do not know each other.
 */
import { InputError } from './errors.ts';

/** Where a download's bytes are kept until it is whole. */
export interface PartialFile {
  /** Bytes that are there. */
  readonly size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
  append(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Drops all bytes. */
  reset(): Promise<void>;
}

/** The `size` bytes that `fill` appends. {@link InputError} where there is no room for as many. */
export async function inMemory(
  size: number,
  name: string,
  fill: (partial: PartialFile) => Promise<void>,
): Promise<Uint8Array<ArrayBuffer>> {
  // Taken when the first bytes are there: until then the size is only the word of a list.
  let bytes = new Uint8Array();
  let filled = 0;
  await fill({
    get size() {
      return filled;
    },
    read: async (offset, length) => bytes.subarray(offset, offset + length),
    append: async (piece) => {
      if (bytes.byteLength < size) bytes = roomFor(size, name);
      bytes.set(piece, filled);
      filled += piece.byteLength;
    },
    reset: async () => {
      filled = 0;
    },
  });
  return bytes;
}

/** Memory for as many bytes. {@link InputError} where there is none. */
export function roomFor(size: number, name: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(size);
  } catch (cause) {
    const what = `${size} bytes of it are needed at once, for which there is no memory`;
    throw new InputError(name, what, 'Use a cache on a disk, or a smaller model', { cause });
  }
}
