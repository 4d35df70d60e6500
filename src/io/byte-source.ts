/**
 * A file's bytes, read piece by piece, so that a model of any size can be processed with little memory. The caller decides
 * where the bytes are (memory, a blob, a disk, a server); this file checks that a piece lies inside the file and is
 * complete.
 */
import { counted } from '../base/counted.ts';
import { InputError } from './errors.ts';

export interface ByteSource {
  /** The file's name in error messages. */
  readonly name: string;
  /** Number of bytes. */
  readonly size: number;
  /** `length` bytes from `offset`. Throws {@link InputError} if the file is shorter or cannot be read. */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** A {@link ByteSource} of `size` bytes; `load` reads a piece. */
export function byteSource(name: string, size: number, load: ByteSource['read']): ByteSource {
  return {
    name,
    size,
    async read(offset, length) {
      if (!(offset >= 0 && length >= 0 && offset + length <= size)) {
        const what = `is ${counted(size, 'byte')} long, but ${length} bytes from byte ${offset} are needed`;
        throw new InputError(name, what, 'The file is damaged or incomplete: fetch it again');
      }
      const bytes = await load(offset, length);
      if (bytes.byteLength === length) return bytes;
      const what = `returned ${bytes.byteLength} of ${length} bytes from byte ${offset}`;
      throw new InputError(name, what, 'It changed while it was read: try again');
    },
  };
}

/** Bytes in memory; pieces are views of them. */
export function memorySource(bytes: Uint8Array<ArrayBuffer>, name: string): ByteSource {
  return byteSource(name, bytes.byteLength, async (offset, length) =>
    bytes.subarray(offset, offset + length),
  );
}

/** A blob or a file chosen by the user. */
export function blobSource(blob: Blob, name: string): ByteSource {
  return byteSource(
    name,
    blob.size,
    async (offset, length) => new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
  );
}

/** The whole file. */
export function readAll(source: ByteSource): Promise<Uint8Array<ArrayBuffer>> {
  return source.read(0, source.size);
}
