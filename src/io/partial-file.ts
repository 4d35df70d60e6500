/**
 * A file that is being downloaded: bytes are appended in order and stored on a disk, in a browser's storage or in memory.
 * Downloading and storing are independent.
 */
import { InputError } from './errors.ts';

/** Storage for the bytes of an unfinished download. */
export interface PartialFile {
  /** Number of bytes present. */
  readonly size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
  append(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Removes all bytes. */
  reset(): Promise<void>;
}

/** The `size` bytes that `fill` appends. Throws {@link InputError} if there is not enough memory. */
export async function inMemory(
  size: number,
  name: string,
  fill: (partial: PartialFile) => Promise<void>,
): Promise<Uint8Array<ArrayBuffer>> {
  // Allocated when the first bytes arrive: until then the size is only a claim.
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

/** Allocates memory. Throws {@link InputError} if there is not enough. */
export function roomFor(size: number, name: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(size);
  } catch (cause) {
    const what = `there is not enough memory for ${size} bytes of it at once`;
    throw new InputError(name, what, 'Use a cache on a disk, or a smaller model', { cause });
  }
}
