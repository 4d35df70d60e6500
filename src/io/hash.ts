/**
 * Content hashes: SHA-256 by Web Crypto, the same in a browser and in Node. They name cached results and find damaged
 * files; they are no signature. A page has `crypto.subtle` over HTTPS and on localhost only.
 */
import { ownBytes } from './files.ts';

/**
 * SHA-256 of a list of parts, lower-case hex. Each part is hashed by itself first, so that ('ab', 'c') differs from
 * ('a', 'bc') and nothing large is joined.
 */
export async function contentHash(...parts: (string | ArrayBufferView)[]): Promise<string> {
  if (globalThis.crypto?.subtle === undefined) {
    throw new Error('Web Crypto is missing: serve the page over HTTPS or from localhost.');
  }
  const digests = new Uint8Array(parts.length * 32);
  for (const [index, part] of parts.entries()) {
    digests.set(
      await sha256(typeof part === 'string' ? new TextEncoder().encode(part) : bytesOf(part)),
      index * 32,
    );
  }
  return Array.from(await sha256(digests), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', ownBytes(bytes)));
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
