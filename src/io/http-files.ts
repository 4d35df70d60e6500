/**
 * A folder behind HTTP. Its files are read piece by piece where the server gives ranges, and fetched whole, once, where it does
 * not. Nothing is kept beyond the program, and no token is sent anywhere.
 */
import { type ByteSource, byteSource, memorySource } from './byte-source.ts';
import { InputError } from './errors.ts';
import { type Files, filesOf } from './files.ts';
import { bodyOf, type HttpOptions, PassingFailure, persist, request, statusError } from './http.ts';

/** Statuses of what is not there. */
const MISSING = [404, 410];
/** Statuses of servers that know no HEAD. */
const NO_HEAD = [405, 501];
/** The first piece that is asked for: a small file is then there whole, with one request. */
const FIRST_PIECE = 2 ** 16;

/** The folder at `baseUrl`. `exists` asks with HEAD; a server's 404 or 410 means that the file is missing. */
export function fetchFiles(baseUrl: string, options: HttpOptions = {}): Files {
  const [name = '', query = ''] = baseUrl.split(/(?=[?#])/, 2);
  const folder = name.replace(/\/+$/, '');
  const url = (path: string) => `${folder}/${path.split('/').map(encodeURIComponent).join('/')}${query}`;
  return filesOf(
    folder,
    (path) => urlSource(url(path), `${folder}/${path}`, options),
    async (path) => {
      const head = await request(url(path), { method: 'HEAD' }, options);
      if (!NO_HEAD.includes(head.status)) return isThere(head, `${folder}/${path}`);
      const piece = await request(url(path), { headers: range(0, 1) }, options);
      await piece.body?.cancel();
      return piece.status === 416 || isThere(piece, `${folder}/${path}`);
    },
  );
}

/** One file; `undefined` where there is none. */
async function urlSource(url: string, name: string, options: HttpOptions): Promise<ByteSource | undefined> {
  const found = await first(url, name, options);
  if (found?.size === undefined) return found?.bytes && memorySource(found.bytes, name);
  const { bytes: start, size, etag } = found;
  return byteSource(name, size, async (offset, length) => {
    if (offset + length <= start.byteLength) return start.subarray(offset, offset + length);
    return persist(async () => {
      const response = await request(url, { headers: range(offset, length) }, options);
      const now = response.headers.get('etag');
      if (response.status !== 206 || (etag !== null && now !== null && now !== etag)) {
        await response.body?.cancel();
        if (!response.ok) throw statusError(name, response);
        throw new InputError(name, 'changed on the server while it was read', 'Try again');
      }
      return collect(response, name, length, options);
    }, options);
  });
}

/** The file's first piece with the size of all, or, without a size, all of it. */
async function first(url: string, name: string, options: HttpOptions) {
  return persist(async () => {
    const response = await request(url, { headers: range(0, FIRST_PIECE) }, options);
    // An empty file has no first byte.
    if (response.status === 416) return { bytes: new Uint8Array(), size: undefined, etag: null };
    if (!isThere(response, name)) return undefined;
    const etag = response.headers.get('etag');
    if (response.status !== 206)
      return { bytes: await collect(response, name, undefined, options), size: undefined, etag };
    const size = await sizeOf(response, url, options);
    if (size === undefined) {
      await response.body?.cancel();
      const whole = await request(url, {}, options);
      isThere(whole, name);
      return { bytes: await collect(whole, name, undefined, options), size: undefined, etag };
    }
    return { bytes: await collect(response, name, Math.min(FIRST_PIECE, size), options), size, etag };
  }, options);
}

/** By the range that came, or by HEAD where a page is not shown that of another host. */
async function sizeOf({ headers }: Response, url: string, options: HttpOptions): Promise<number | undefined> {
  const total = /\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1];
  if (total !== undefined) return Number(total);
  const head = await request(url, { method: 'HEAD' }, options);
  const length = head.headers.get('content-encoding') ? null : head.headers.get('content-length');
  return head.ok && length !== null ? Number(length) : undefined;
}

/** The answer's bytes, of which there have to be `length` where that is known. */
async function collect(
  response: Response,
  name: string,
  length: number | undefined,
  { signal }: HttpOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for await (const bytes of bodyOf(response, name, signal)) parts.push(bytes);
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  if (length === undefined || bytes.byteLength === length) return bytes;
  const what = `${bytes.byteLength} bytes came of ${length}`;
  throw new PassingFailure(new InputError(name, what, 'Try again'));
}

function isThere(response: Response, name: string): boolean {
  if (MISSING.includes(response.status)) return false;
  if (response.ok) return true;
  throw statusError(name, response);
}

function range(offset: number, length: number): Record<string, string> {
  return { range: `bytes=${offset}-${offset + length - 1}` };
}
