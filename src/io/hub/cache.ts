/**
 * What a cache of repositories has to offer: small texts and whole files by repository. The layout is that of Hugging Face's
 * own tools wherever there is a disk. Which texts and files there are, and when to ask the hub, is decided in `client.ts`.
 */
import { type ByteSource, memorySource } from '../byte-source.ts';
import { InputError } from '../errors.ts';
import type { HttpOptions } from '../http.ts';
import type { PartialFile } from './download.ts';

export interface HubCache {
  /** A small text in the repository's folder, such as `refs/main`; `undefined` where there is none. */
  readText(repository: string, path: string): Promise<string | undefined>;
  /** Keeps it. A cache that cannot only means another request the next time. */
  writeText(repository: string, path: string, text: string): Promise<void>;
  /** A file that is there whole. Without its blob, where nobody knows it, only a cache that keeps paths can find it. */
  open(file: CachedFile): Promise<ByteSource | undefined>;
  /** The file, filled by `fill` unless someone else has been faster. What an attempt leaves is there for the next one. */
  add(file: WholeFile, fill: (partial: PartialFile) => Promise<void>, watch: Watch): Promise<ByteSource>;
}

export interface CachedFile {
  /** `owner/name` */
  repository: string;
  commit: string;
  /** Within the repository. */
  path: string;
  size?: number | undefined;
  /** The name of its contents. */
  blob?: string | undefined;
}
export type WholeFile = Required<{ [Key in keyof CachedFile]: NonNullable<CachedFile[Key]> }>;

export type Watch = Pick<HttpOptions, 'signal' | 'onNotice'>;

/** A repository's folder, named as Hugging Face's tools name it. */
export function repositoryFolder(repository: string): string {
  return ['models', ...repository.split('/')].join('--');
}

/** A cache that lives as long as the program, for where nothing can be kept. */
export function memoryHubCache(): HubCache {
  const texts = new Map<string, string>();
  const blobs = new Map<string, Uint8Array<ArrayBuffer>>();
  const nameOf = ({ repository, path }: CachedFile) => `${repository}/${path}`;
  return {
    readText: async (repository, path) => texts.get(`${repository}/${path}`),
    writeText: async (repository, path, text) => void texts.set(`${repository}/${path}`, text),
    open: async (file) => {
      const bytes = file.blob === undefined ? undefined : blobs.get(file.blob);
      return bytes && memorySource(bytes, nameOf(file));
    },
    add: async (file, fill) => {
      const bytes = await inMemory(file.size, nameOf(file), fill);
      blobs.set(file.blob, bytes);
      return memorySource(bytes, nameOf(file));
    },
  };
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

function roomFor(size: number, name: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(size);
  } catch (cause) {
    const what = `has ${size} bytes, for which there is no memory`;
    throw new InputError(name, what, 'Use a cache on a disk, or a smaller model', { cause });
  }
}
