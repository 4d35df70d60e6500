/**
 * Content hashes: SHA-256 with Web Crypto, the same in browsers and Node. They name cached results and detect damaged
 * files; they are not signatures. A page only has `crypto.subtle` over HTTPS and on localhost.
 */
import { ownBytes } from './files.ts';

/**
 * SHA-256 of a list of parts, lower-case hex. Each part is hashed separately first, so that ('ab', 'c') differs from ('a',
 * 'bc') and nothing large is concatenated.
 */
export async function contentHash(...parts: (string | ArrayBufferView)[]): Promise<string> {
  const hash = new ContentHash();
  for (const part of parts) await hash.add(part);
  return hash.digest();
}

/** The {@link contentHash} of parts that are not in memory at the same time. */
export class ContentHash {
  private readonly digests: number[] = [];

  async add(part: string | ArrayBufferView): Promise<void> {
    this.digests.push(
      ...(await sha256(typeof part === 'string' ? new TextEncoder().encode(part) : bytesOf(part))),
    );
  }

  async digest(): Promise<string> {
    const bytes = await sha256(Uint8Array.from(this.digests));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  if (globalThis.crypto?.subtle === undefined) {
    throw new Error('Web Crypto is missing: serve the page over HTTPS or from localhost.');
  }
  return new Uint8Array(await crypto.subtle.digest('SHA-256', ownBytes(bytes)));
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
