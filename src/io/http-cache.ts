/**
 * Stores files from URLs in a {@link HubCache}, only the newest version of each. A version is identified by the server's
 * ETag or Last-Modified and the length; a file with neither header is not stored. A stored file is only used after the
 * server has confirmed that it is current.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import type { ByteSource } from './byte-source.ts';
import type { FetchOptions } from './http.ts';
import { sameVersion, type Version } from './http-ranges.ts';
import { CacheWriteError, type HubCache, type WholeFile } from './hub/cache.ts';
import { isObject } from './json.ts';
import type { PartialFile } from './partial-file.ts';

/** Stores a file's version, once the file is complete. */
const VERSION = 'version.json';

export interface CachedVersion {
  version: Version;
  source: ByteSource;
}

/** The stored version of one URL. */
export class AddressCache {
  /** Whether all writes have succeeded so far. */
  private works = true;
  /** The URL's folder in the cache: its host and name, so that users can find it, and its hash. */
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

  /** The stored version, if complete. */
  async find(): Promise<CachedVersion | undefined> {
    const version = readVersion(await this.cache.readText(this.repository, VERSION));
    const source = version && (await this.cache.open(this.place(version)));
    return source && { version, source };
  }

  /** Stores a version, which `fill` downloads; undefined if the cache cannot store it. Older versions are removed. */
  async keep(
    version: Version,
    fill: (partial: PartialFile) => Promise<void>,
  ): Promise<ByteSource | undefined> {
    if (!this.works || (version.etag === null && version.lastModified === null)) return undefined;
    const { signal, onNotice } = this.options;
    // Bytes of an earlier attempt cannot be verified, because no server provides a hash.
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
      onNotice?.(`${this.name} is read without being stored:  ${error.where} ${error.what}`);
      return undefined;
    }
  }

  private place({ etag, lastModified, size }: Version): WholeFile {
    const blob = hash(JSON.stringify([this.url, etag ?? lastModified, size]));
    return { repository: this.repository, commit: blob.slice(0, 40), path: 'file', size, blob };
  }
}

/** Whether the stored version is current according to the server. */
export function isStill(kept: Version, now: Version): boolean {
  const says =
    (now.etag !== null && kept.etag !== null) || (now.lastModified !== null && kept.lastModified !== null);
  return says && sameVersion(kept, now);
}

/** Headers that request a file only if its version differs. */
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
