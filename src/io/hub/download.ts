/**
 * Downloads one file of known size and hash. The bytes received are kept, so that an interrupted download continues, in
 * this process or another; a file is only accepted if its hash is correct.
 */
import { counted } from '../../base/counted.ts';
import { InputError } from '../errors.ts';
import { discard, fetchOnce, type HttpOptions, persist } from '../http.ts';
import { bodyOf, isEncoded, isHtml } from '../http-body.ts';
import { PassingFailure } from '../http-failures.ts';
import type { PartialFile } from '../partial-file.ts';
import { type BlobHash, blobHash } from './blob-hash.ts';

export interface Wanted {
  url: string;
  headers: Record<string, string>;
  /** The file's name in error messages. */
  name: string;
  size: number;
  /** The blob's name, which contains its hash. */
  blob: string;
  /** The error for a response that is neither the file nor a temporary failure. */
  refused(response: Response): InputError;
}

export interface DownloadOptions extends HttpOptions {
  /** Reports the number of bytes present, including those of an earlier attempt. */
  onBytes?: (loaded: number) => void;
}

/** The received bytes do not have the expected size or hash. */
export class DamagedDownloadError extends InputError {
  override name = 'DamagedDownloadError';
}

/** Bytes of an earlier attempt that are read at a time for hashing. */
const PIECE = 2 ** 22;

/** Completes `partial`. If the received bytes are wrong, they are removed and an error is thrown. */
export async function download(
  wanted: Wanted,
  partial: PartialFile,
  options: DownloadOptions,
): Promise<void> {
  const kept = Math.min(partial.size, wanted.size);
  let found = await fill(wanted, partial, options);
  // Bytes of an earlier attempt may have been damaged since, for example by a power cut: start over once.
  if (found !== wanted.blob && kept > 0) {
    await partial.reset();
    found = await fill(wanted, partial, options);
  }
  if (found === wanted.blob) return;
  await partial.reset();
  throw damaged(wanted, `its hash is ${found}, but the repository lists ${wanted.blob}`);
}

/** Fetches the missing bytes; resolves to the name of the resulting content. */
async function fill(wanted: Wanted, partial: PartialFile, options: DownloadOptions): Promise<string> {
  const { url, headers, name, size, blob, refused } = wanted;
  if (partial.size > size) await partial.reset();
  let hash = blobHash(blob, size);
  await hashKept(hash, partial);
  options.onBytes?.(partial.size);
  const restart = async () => {
    await partial.reset();
    hash = blobHash(blob, size);
  };
  /**
   * The ETag of the first response: all responses must belong to the same file. `If-Range` would have the same effect, but
   * it makes browsers send a preflight request, which content networks do not allow.
   */
  let version: string | null = null;
  let most = partial.size;

  await persist(async (gained) => {
    if (partial.size === size) return;
    const from = partial.size;
    // Browsers disable compression themselves for range requests, and do not let a page do so.
    const range: Record<string, string> = from > 0 ? { range: `bytes=${from}-` } : {};
    const response = await fetchOnce(
      url,
      { headers: { ...headers, 'accept-encoding': 'identity', ...range } },
      options,
    );
    if (response.status === 416) {
      discard(response);
      await partial.reset();
      throw damaged(wanted, `the server has no bytes from ${from}, but the file should have ${size}`);
    }
    if (!response.ok || isHtml(response)) {
      discard(response);
      throw response.ok ? pageInPlace(name) : refused(response);
    }
    const total = totalOf(response);
    if (total !== undefined && total !== size) {
      discard(response);
      await partial.reset();
      throw damaged(wanted, `the server has ${total} bytes, but the file should have ${size}`);
    }
    const etag = response.headers.get('etag');
    if (from > 0 && response.status === 206 && !continues(response, from, version, etag)) {
      discard(response);
      await restart();
      const what = `changed on the server after ${counted(from, 'byte')}`;
      throw new PassingFailure(new InputError(name, what, 'Try again later'), 0);
    }
    if (from > 0 && response.status !== 206) await restart();
    version ??= etag;
    for await (const bytes of bodyOf(response, name, options)) {
      if (partial.size + bytes.byteLength > size) {
        await partial.reset();
        throw damaged(wanted, `more than the expected ${size} bytes arrived`);
      }
      hash.update(bytes);
      await partial.append(bytes);
      // Bytes that replace dropped ones are no progress; otherwise a server without ranges could continue forever.
      if (partial.size > most) gained(partial.size - most);
      most = Math.max(most, partial.size);
      options.onBytes?.(partial.size);
    }
    if (partial.size < size) {
      const what = `only ${partial.size} of ${size} bytes arrived`;
      throw new PassingFailure(new InputError(name, what, 'Try again: the received bytes are kept'));
    }
  }, options);
  return hash.digest();
}

async function hashKept(hash: BlobHash, partial: PartialFile): Promise<void> {
  for (let at = 0; at < partial.size; at += PIECE)
    hash.update(await partial.read(at, Math.min(PIECE, partial.size - at)));
}

/** Whether the response continues at `from` the file with the ETag `version`. */
function continues(response: Response, from: number, version: string | null, etag: string | null): boolean {
  const range = response.headers.get('content-range');
  const start = range === null ? from : Number(/^bytes (\d+)-/.exec(range)?.[1]);
  return start === from && (version === null || etag === null || etag === version);
}

/** The size of the whole file, if the response states it. */
function totalOf(response: Response): number | undefined {
  const { status, headers } = response;
  const range = headers.get('content-range');
  const length = headers.get('content-length');
  const isPlain = status === 200 && !isEncoded(response);
  const text = status === 206 ? /\/(\d+)$/.exec(range ?? '')?.[1] : isPlain ? length : undefined;
  return text ? Number(text) : undefined;
}

/** A captive portal or a proxy responded instead of the hub. */
function pageInPlace(name: string): InputError {
  const what = 'a web page (HTML) was sent instead';
  return new InputError(name, what, 'Check HF_ENDPOINT, and whether the network requires a login');
}

function damaged({ name }: Wanted, what: string): DamagedDownloadError {
  return new DamagedDownloadError(
    name,
    what,
    'The received bytes were removed: try again, or ask the owner of the repository',
  );
}
