/**
 * The interface of a cache of repositories: small texts and whole files per repository. On disk, the layout is that of
 * Hugging Face's tools. `client.ts` decides which texts and files to store, and when to ask the hub.
 */
import { type ByteSource, memorySource } from '../byte-source.ts';
import { InputError } from '../errors.ts';
import type { HttpOptions } from '../http.ts';
import { inMemory, type PartialFile } from '../partial-file.ts';

export interface HubCache {
  /** A small text in the repository's folder, such as `refs/main`; undefined if there is none. */
  readText(repository: string, path: string): Promise<string | undefined>;
  /** Stores a text. A cache may fail to do so, which only causes another request later. */
  writeText(repository: string, path: string, text: string): Promise<void>;
  /** A complete file. If its blob is unknown, only a cache that stores paths can find it. */
  open(file: CachedFile): Promise<ByteSource | undefined>;
  /** Adds a file, filled by `fill` unless another process was faster. The bytes of a failed attempt are kept for the next one. */
  add(file: WholeFile, fill: (partial: PartialFile) => Promise<void>, watch: Watch): Promise<ByteSource>;
  /** Removes everything stored for a repository, if possible. */
  remove(repository: string): Promise<void>;
}

/** The cache cannot store a file: no space, or no permission. */
export class CacheWriteError extends InputError {
  override name = 'CacheWriteError';
}

export interface CachedFile {
  /** `owner/name` */
  repository: string;
  commit: string;
  /** Path within the repository. */
  path: string;
  size?: number | undefined;
  /** Name of its content. */
  blob?: string | undefined;
}
export type WholeFile = Required<{ [Key in keyof CachedFile]: NonNullable<CachedFile[Key]> }>;

export type Watch = Pick<HttpOptions, 'signal' | 'onNotice'>;

/** A repository's folder, named like those of Hugging Face's tools. */
export function repositoryFolder(repository: string): string {
  return ['models', ...repository.split('/')].join('--');
}

/** An in-memory cache, if nothing can be stored. */
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
