/**
 * Names of contents in a repository, and their hashes: large files are named by SHA-256, small ones by git's blob hash.
 * Incremental, which Web Crypto does not support; the same in browsers and Node.
 */

import { sha1 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { isOwn } from '../../base/lookup.ts';

export interface BlobHash {
  update(bytes: Uint8Array): void;
  /** The blob's name if all bytes have been added. */
  digest(): string;
}

/** By the number of hexadecimal digits of the name. */
const KINDS: Readonly<Record<number, (size: number) => ReturnType<typeof sha256.create>>> = {
  40: (size) => sha1.create().update(new TextEncoder().encode(`blob ${size}\0`)) as never,
  64: () => sha256.create(),
};

/** Whether it is the name of a blob. It becomes part of file names, so nothing else is accepted. */
export function isBlobName(name: unknown): name is string {
  return typeof name === 'string' && /^[0-9a-f]+$/.test(name) && isOwn(KINDS, name.length);
}

/** The hash to verify the blob `name` of `size` bytes. */
export function blobHash(name: string, size: number): BlobHash {
  const make = KINDS[name.length];
  if (!make) throw new Error(`${name} is not the name of a blob`);
  const hash = make(size);
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => bytesToHex(hash.digest()),
  };
}
