/**
 * Keeps files that were fetched from an address in a {@link HubCache}, the newest version of each. A version is told by what the
 * server says of it, ETag or Last-Modified and the length; a file of which it says neither is not kept. What is kept is used
 * only after the server has said that it is still what it has.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import type { ByteSource } from './byte-source.ts';
import type { FetchOptions } from './http.ts';
import { sameVersion, type Version } from './http-ranges.ts';
import { CacheWriteError, type HubCache, type WholeFile } from './hub/cache.ts';
import { isObject } from './json.ts';
import type { PartialFile } from './partial-file.ts';

/** Where a file's version is noted, once all of it is there. */
const VERSION = 'version.json';

export interface CachedVersion {
  version: Version;
  source: ByteSource;
}

/** What is kept of one address. */
export class AddressCache {
  /** Whether the cache has taken everything so far. */
  private works = true;
  /** The folder of the cache that belongs to the address: its host and name, so that a person finds it, and its hash. */
  private readonly repository: string;

  constructor(
    private readonly cache: HubCache,
    private readonly url: string,
    private readonly name: string,
    private readonly options: FetchOptions,
  ) {
    const { host, pathname } = new URL(url);
    const readable = (text: string) => text.replace(/[^\w.-]+/g, '_').slice(0, 60);
    const file = readable(pathname.split('/').at(-1) ?? '');
    this.repository = `${readable(host)}/${file}-${hash(url).slice(0, 16)}`;
  }

  /** The version that is there whole. */
  async find(): Promise<CachedVersion | undefined> {
    const version = readVersion(await this.cache.readText(this.repository, VERSION));
    const source = version && (await this.cache.open(this.place(version)));
    return source && { version, source };
  }

  /** Keeps a version, which `fill` fetches; `undefined` where the cache cannot. An older one is dropped. */
  async keep(
    version: Version,
    fill: (partial: PartialFile) => Promise<void>,
  ): Promise<ByteSource | undefined> {
    if (!this.works || (version.etag === null && version.lastModified === null)) return undefined;
    const { signal, onNotice } = this.options;
    // What an earlier attempt has left cannot be checked: no server gives a hash of it.
    const anew = async (partial: PartialFile) => {
      if (partial.size > 0) await partial.reset();
      await fill(partial);
    };
    try {
      const noted = await this.cache.readText(this.repository, VERSION);
      if (noted !== undefined && noted !== JSON.stringify(version)) await this.cache.remove(this.repository);
      const source = await this.cache.add(this.place(version), anew, { signal, onNotice });
      await this.cache.writeText(this.repository, VERSION, JSON.stringify(version));
      return source;
    } catch (error) {
      if (!(error instanceof CacheWriteError)) throw error;
      this.works = false;
      onNotice?.(`${this.name} is read without being kept: ${error.where} ${error.what}`);
      return undefined;
    }
  }

  private place({ etag, lastModified, size }: Version): WholeFile {
    const blob = hash(JSON.stringify([this.url, etag ?? lastModified, size]));
    return { repository: this.repository, commit: blob.slice(0, 40), path: 'file', size, blob };
  }
}

/** Whether what is kept is what the server has now: it has to say so. */
export function isStill(kept: Version, now: Version): boolean {
  const says =
    (now.etag !== null && kept.etag !== null) || (now.lastModified !== null && kept.lastModified !== null);
  return says && sameVersion(kept, now);
}

/** The headers that ask for a file only if it is another version. */
export function unlessIsStill({ etag, lastModified }: Version): Record<string, string> {
  if (etag !== null) return { 'if-none-match': etag };
  return lastModified === null ? {} : { 'if-modified-since': lastModified };
}

function readVersion(text: string | undefined): Version | undefined {
  let json: unknown;
  try {
    json = text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(json)) return undefined;
  const { etag = null, lastModified = null, size } = json;
  const isText = (value: unknown): value is string | null => value === null || typeof value === 'string';
  const isWhole = isText(etag) && isText(lastModified) && Number.isSafeInteger(size);
  return isWhole ? { etag, lastModified, size: size as number } : undefined;
}

function hash(text: string): string {
  return bytesToHex(sha256(utf8ToBytes(text)));
}
