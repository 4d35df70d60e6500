/**
 * One file of known size and hash, fetched into a place that keeps what came: a cut download goes on where it was, in this
 * process or another, and nothing counts as fetched whose hash is not the one that was promised.
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
  /** The file's name in messages. */
  name: string;
  size: number;
  /** The blob's name, which says its hash. */
  blob: string;
  /** What an answer means that is neither the file nor a passing failure. */
  refused(response: Response): InputError;
}

export interface DownloadOptions extends HttpOptions {
  /** Bytes that are there, those of an earlier attempt included. */
  onBytes?: (loaded: number) => void;
}

/** What came is not what was promised. */
export class DamagedDownloadError extends InputError {
  override name = 'DamagedDownloadError';
}

/** How much of an earlier attempt is read at a time to hash it. */
const PIECE = 2 ** 22;

/** Fills `partial` up. Where what came is wrong it is dropped, and the error says so. */
export async function download(
  wanted: Wanted,
  partial: PartialFile,
  options: DownloadOptions,
): Promise<void> {
  const kept = Math.min(partial.size, wanted.size);
  let found = await fill(wanted, partial, options);
  // Bytes of an earlier attempt may have suffered since, in a power cut for one: they get one new chance.
  if (found !== wanted.blob && kept > 0) {
    await partial.reset();
    found = await fill(wanted, partial, options);
  }
  if (found === wanted.blob) return;
  await partial.reset();
  throw damaged(wanted, `its hash is ${found}, where the repository says ${wanted.blob}`);
}

/** Fetches what is missing; resolves to the name of what is there then. */
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
  /** The ETag of the first answer: bytes of different answers must be of one file. `If-Range` would say the same to the
   * server, but makes a browser ask for leave first, which content networks do not give. */
  let version: string | null = null;
  let most = partial.size;

  await persist(async (gained) => {
    if (partial.size === size) return;
    const from = partial.size;
    // Browsers do without compression by themselves when they ask for a range, and do not let a page say so.
    const range: Record<string, string> = from > 0 ? { range: `bytes=${from}-` } : {};
    const response = await fetchOnce(
      url,
      { headers: { ...headers, 'accept-encoding': 'identity', ...range } },
      options,
    );
    if (response.status === 416) {
      discard(response);
      await partial.reset();
      throw damaged(wanted, `the server has no bytes from ${from} on, where ${size} are promised`);
    }
    if (!response.ok || isHtml(response)) {
      discard(response);
      throw response.ok ? pageInPlace(name) : refused(response);
    }
    const total = totalOf(response);
    if (total !== undefined && total !== size) {
      discard(response);
      await partial.reset();
      throw damaged(wanted, `the server has ${total} bytes, where ${size} are promised`);
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
        throw damaged(wanted, `more than the ${size} bytes came that are promised`);
      }
      hash.update(bytes);
      await partial.append(bytes);
      // Bytes that came before and were dropped are no gain: else a server without ranges could go on for ever.
      if (partial.size > most) gained(partial.size - most);
      most = Math.max(most, partial.size);
      options.onBytes?.(partial.size);
    }
    if (partial.size < size) {
      const what = `only ${partial.size} of ${size} bytes came`;
      throw new PassingFailure(new InputError(name, what, 'Try again: what came is kept'));
    }
  }, options);
  return hash.digest();
}

async function hashKept(hash: BlobHash, partial: PartialFile): Promise<void> {
  for (let at = 0; at < partial.size; at += PIECE)
    hash.update(await partial.read(at, Math.min(PIECE, partial.size - at)));
}

/** Whether the answer goes on at `from` with the file that began under the ETag `version`. */
function continues(response: Response, from: number, version: string | null, etag: string | null): boolean {
  const range = response.headers.get('content-range');
  const start = range === null ? from : Number(/^bytes (\d+)-/.exec(range)?.[1]);
  return start === from && (version === null || etag === null || etag === version);
}

/** The whole file's bytes, where the answer tells. */
function totalOf(response: Response): number | undefined {
  const { status, headers } = response;
  const range = headers.get('content-range');
  const length = headers.get('content-length');
  const isPlain = status === 200 && !isEncoded(response);
  const text = status === 206 ? /\/(\d+)$/.exec(range ?? '')?.[1] : isPlain ? length : undefined;
  return text ? Number(text) : undefined;
}

/** A network that wants a login, or a proxy, answers in the hub's place. */
function pageInPlace(name: string): InputError {
  const what = 'a web page (HTML) came in its place';
  return new InputError(name, what, 'Check HF_ENDPOINT, and whether the network wants a login');
}

function damaged({ name }: Wanted, what: string): DamagedDownloadError {
  return new DamagedDownloadError(
    name,
    what,
    'What came has been removed: try again, or ask where it is from',
  );
}
