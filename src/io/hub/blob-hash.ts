/**
 * The names that a repository gives to contents, and the hash behind each: large files have the SHA-256 of their bytes, small
 * ones git's own name for a blob. Fed piece by piece, which Web Crypto cannot do, and the same in a browser and in Node.
 */

import { sha1 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { isOwn } from '../../base/lookup.ts';

export interface BlobHash {
  update(bytes: Uint8Array): void;
  /** The blob's name if these were all of its bytes. */
  digest(): string;
}

/** By the length of the name in hexadecimal digits. */
const KINDS: Readonly<Record<number, (size: number) => ReturnType<typeof sha256.create>>> = {
  40: (size) => sha1.create().update(new TextEncoder().encode(`blob ${size}\0`)) as never,
  64: () => sha256.create(),
};

/** Whether it is the name of a blob. It goes into the names of files, so nothing else may. */
export function isBlobName(name: unknown): name is string {
  return typeof name === 'string' && /^[0-9a-f]+$/.test(name) && isOwn(KINDS, name.length);
}

/** The hash that the blob called `name`, of `size` bytes, has to have. */
export function blobHash(name: string, size: number): BlobHash {
  const make = KINDS[name.length];
  if (!make) throw new Error(`${name} is not the name of a blob`);
  const hash = make(size);
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => bytesToHex(hash.digest()),
  };
}
