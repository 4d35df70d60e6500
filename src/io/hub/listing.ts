/**
 * The list of a repository's files, as sent by the hub and as stored in a cache: size and content name of each.
 */
import { isObject } from '../json.ts';
import { isBlobName } from './blob-hash.ts';

/** The hub's data on a file. */
export interface Entry {
  size: number;
  /** The name of its content: SHA-256 for a large file, git's blob hash for a small one. */
  blob: string;
}
export type Listing = ReadonlyMap<string, Entry>;

/** Version of the listing format of Hugging Face's own cache (`trees/COMMIT.json`). */
const LISTING_VERSION = 1;
/**
 * Our listings are stored separately from Hugging Face's: its tools would interpret a listing there as a complete download,
 * and report a folder that contains all files of a model as incomplete.
 */
export const listingPaths = (commit: string) => [`.webalign/${commit}.json`, `trees/${commit}.json`] as const;

/** A file of the API's list; undefined for folders and for files without a hash. */
export function entryOf(item: unknown): Entry | undefined {
  if (!isObject(item) || item.type !== 'file' || typeof item.path !== 'string') return undefined;
  const { oid, size } = isObject(item.lfs) ? item.lfs : item;
  return toEntry(oid, size);
}

function toEntry(blob: unknown, size: unknown): Entry | undefined {
  return isBlobName(blob) && Number.isSafeInteger(size) && (size as number) >= 0
    ? { blob, size: size as number }
    : undefined;
}

export function writeListing(listing: Listing): string {
  const files = [...listing].map(([path, { size, blob }]) => [
    path,
    { size, blob_id: blob, ...(blob.length === 64 && { lfs_sha256: blob, lfs_size: size }) },
  ]);
  return JSON.stringify({ format_version: LISTING_VERSION, files: Object.fromEntries(files) });
}

/** Undefined for an invalid listing; then the hub is asked. */
export function readListing(text: string | undefined): Listing | undefined {
  let json: unknown;
  try {
    json = text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(json) || json.format_version !== LISTING_VERSION || !isObject(json.files)) return undefined;
  const listing = new Map<string, Entry>();
  for (const [path, file] of Object.entries(json.files)) {
    const { blob_id, size, lfs_sha256, lfs_size } = isObject(file) ? file : {};
    const entry = lfs_sha256 === undefined ? toEntry(blob_id, size) : toEntry(lfs_sha256, lfs_size);
    if (entry) listing.set(path, entry);
  }
  return listing;
}
