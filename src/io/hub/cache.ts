/**
 * What a cache of repositories has to offer: small texts and whole files by repository. The layout is that of Hugging Face's
 * own tools wherever there is a disk. Which texts and files there are, and when to ask the hub, is decided in `client.ts`.
 */
import { type ByteSource, memorySource } from '../byte-source.ts';
import { InputError } from '../errors.ts';
import type { HttpOptions } from '../http.ts';
import { inMemory, type PartialFile } from '../partial-file.ts';

export interface HubCache {
  /** A small text in the repository's folder, such as `refs/main`; `undefined` where there is none. */
  readText(repository: string, path: string): Promise<string | undefined>;
  /** Keeps it. A cache that cannot only means another request the next time. */
  writeText(repository: string, path: string, text: string): Promise<void>;
  /** A file that is there whole. Without its blob, where nobody knows it, only a cache that keeps paths can find it. */
  open(file: CachedFile): Promise<ByteSource | undefined>;
  /** The file, filled by `fill` unless someone else has been faster. What an attempt leaves is there for the next one. */
  add(file: WholeFile, fill: (partial: PartialFile) => Promise<void>, watch: Watch): Promise<ByteSource>;
  /** Drops all that is kept of a repository. A cache that cannot leaves it. */
  remove(repository: string): Promise<void>;
}

/** The cache cannot keep a file: no room, no right to write. */
export class CacheWriteError extends InputError {
  override name = 'CacheWriteError';
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
  const at = (repository: string, path = '') => `${repository}/${path}`;
  return {
    readText: async (repository, path) => texts.get(at(repository, path)),
    writeText: async (repository, path, text) => void texts.set(at(repository, path), text),
    open: async ({ repository, path, blob }) => {
      const bytes = blob === undefined ? undefined : blobs.get(at(repository, blob));
      return bytes && memorySource(bytes, at(repository, path));
    },
    add: async ({ repository, path, blob, size }, fill) => {
      const bytes = await inMemory(size, at(repository, path), fill);
      blobs.set(at(repository, blob), bytes);
      return memorySource(bytes, at(repository, path));
    },
    remove: async (repository) => {
      for (const kept of [texts, blobs])
        for (const key of kept.keys()) if (key.startsWith(at(repository))) kept.delete(key);
    },
  };
}
