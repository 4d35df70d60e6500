/**
 * Reads a file of known length from a server that supports ranges: in large pieces, several at once, and never from two
 * different versions. Each response is compared with its request.
 */
import { InputError } from './errors.ts';
import { discard, fetchOnce, type HttpOptions, persist } from './http.ts';
import { bodyOf, isEncoded, within } from './http-body.ts';
import { PassingFailure, statusError } from './http-failures.ts';
import { isForeign } from './page-address.ts';
import { type PartialFile, roomFor } from './partial-file.ts';

/** Bytes per request. */
export const PIECE = 2 ** 23;
/** Maximum number of concurrent requests. */
const AT_ONCE = 4;
/** Maximum number of pieces in memory, for all files of a folder without a cache. */
const MOST_KEPT = 8;

const WAY_OUT = 'Try again, or download the file separately and give the folder on disk';

/** Properties that distinguish versions of a file on a server. */
export interface Version {
  etag: string | null;
  lastModified: string | null;
  size: number;
}

export function versionOf({ headers }: Response, size: number): Version {
  return { etag: headers.get('etag'), lastModified: headers.get('last-modified'), size };
}

/** Whether two responses may belong to the same version. Missing headers are ignored. */
export function sameVersion(a: Version, b: Version): boolean {
  if (a.size !== b.size) return false;
  // A server that compresses a response weakens its ETag.
  const [one, other] = [a, b].map(({ etag }) => etag?.replace(/^W\//, ''));
  if (one !== undefined && other !== undefined) return one === other;
  return a.lastModified === null || b.lastModified === null || a.lastModified === b.lastModified;
}

/** The header that requests a range. */
export function range(offset: number, length: number): Record<string, string> {
  return { range: `bytes=${offset}-${offset + length - 1}` };
}

/** The parsed `Content-Range`; undefined if it is missing or hidden from the page. */
export function contentRange({
  headers,
}: Response): { start: number; length: number; total: number | undefined } | undefined {
  const [, first, last, total] =
    /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers.get('content-range')?.trim() ?? '') ?? [];
  if (first === undefined) return undefined;
  const start = Number(first);
  return { start, length: Number(last) - start + 1, total: total === '*' ? undefined : Number(total) };
}

/** A file that is read in ranges. */
export class RangedFile {
  constructor(
    private readonly url: string,
    readonly name: string,
    readonly version: Version,
    private readonly options: HttpOptions,
  ) {}

  get size(): number {
    return this.version.size;
  }

  /** A piece, fetched with one request, or several if the connection breaks. */
  async piece(
    offset: number,
    length: number,
    signal = this.options.signal,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const options = { ...this.options, signal };
    const bytes = new Uint8Array(length);
    let filled = 0;
    await persist(async (gained) => {
      const rest = length - filled;
      const headers = { ...range(offset + filled, rest), ...this.condition() };
      const response = await fetchOnce(this.url, { headers }, options);
      this.check(response, offset + filled, rest);
      const which = `that were requested from byte ${offset + filled}`;
      const body = within(bodyOf(response, this.name, options), { bytes: rest, which }, this.name);
      for await (const part of body) {
        bytes.set(part, filled);
        filled += part.byteLength;
        gained(part.byteLength);
      }
      if (filled === length) return;
      const what = `only ${filled} of ${length} bytes arrived from byte ${offset}`;
      // Some servers send less than requested; the rest can be requested at once.
      throw new PassingFailure(new InputError(this.name, what, WAY_OUT), 0);
    }, options);
    return bytes;
  }

  /** Appends the whole file to `partial`, in order, with several pieces in flight. */
  async fill(partial: PartialFile, onBytes: (loaded: number) => void): Promise<void> {
    const stop = new AbortController();
    const { signal: asked } = this.options;
    const signal = asked ? AbortSignal.any([asked, stop.signal]) : stop.signal;
    const onTheirWay: Promise<Uint8Array<ArrayBuffer>>[] = [];
    let next = 0;
    const send = () => {
      for (; onTheirWay.length < AT_ONCE && next < this.size; next += PIECE) {
        const piece = this.piece(next, Math.min(PIECE, this.size - next), signal);
        // If an earlier piece fails, nothing awaits this one.
        piece.catch(() => undefined);
        onTheirWay.push(piece);
      }
    };
    try {
      for (send(); onTheirWay.length > 0; send()) {
        await partial.append((await onTheirWay.shift())!);
        onBytes(partial.size);
      }
    } finally {
      stop.abort();
    }
  }

  /** `If-Range`, if it can be sent: on another origin it would need a preflight request, which few servers allow. */
  private condition(): Record<string, string> {
    const { etag } = this.version;
    return etag === null || etag.startsWith('W/') || isForeign(this.url) ? {} : { 'if-range': etag };
  }

  /** Throws {@link InputError} unless the response is the requested range of the same version. */
  private check(response: Response, offset: number, length: number): void {
    const found = contentRange(response);
    const now = versionOf(response, found?.total ?? this.size);
    const isRange = response.status === 206 && !isEncoded(response);
    if (isRange && sameVersion(now, this.version) && isWithin(found, offset, length)) return;
    discard(response);
    throw this.refused(response, now, found, offset, length);
  }

  private refused(
    response: Response,
    now: Version,
    found: ReturnType<typeof contentRange>,
    offset: number,
    length: number,
  ): InputError {
    const { name } = this;
    if (response.status === 416) {
      const what = `the server has no bytes from ${offset}, but announced ${this.size} bytes`;
      return new InputError(name, what, WAY_OUT);
    }
    if (!response.ok) return statusError(name, response);
    if (!sameVersion(now, this.version))
      return new InputError(
        name,
        'changed on the server while it was read',
        'Try again: open the model anew',
      );
    const sent =
      response.status === 206 && found
        ? `bytes ${found.start} to ${found.start + found.length - 1}`
        : 'something else';
    const asked = `bytes ${offset} to ${offset + length - 1}`;
    return new InputError(name, `the server sent ${sent}, but ${asked} were requested`, WAY_OUT);
  }
}

function isWithin(found: ReturnType<typeof contentRange>, offset: number, length: number): boolean {
  return !found || (found.start === offset && found.length <= length);
}

/** The recently read pieces of a folder's files, so that adjacent data is fetched together. */
export class PieceCache {
  /** Ordered by last use, the most recent last. */
  private readonly kept = new Map<string, Promise<Uint8Array<ArrayBuffer>>>();
  /** For each file, the pieces that have ever been read. */
  private readonly come = new WeakMap<RangedFile, Set<number>>();

  /** Bytes of a file; `onBytes` reports the number of distinct bytes read so far. */
  async read(
    file: RangedFile,
    offset: number,
    length: number,
    onBytes: (loaded: number) => void,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = roomFor(length, file.name);
    const last = Math.floor((offset + length - 1) / PIECE);
    const copy = async (index: number) => {
      const piece = await this.piece(file, index);
      onBytes(this.loaded(file, index));
      const start = index * PIECE;
      const from = Math.max(offset, start);
      bytes.set(piece.subarray(from - start, offset + length - start), from - offset);
    };
    for (let first = Math.floor(offset / PIECE); first <= last; first += AT_ONCE) {
      const indexes = Array.from({ length: Math.min(AT_ONCE, last - first + 1) }, (_, i) => first + i);
      await Promise.all(indexes.map(copy));
    }
    return bytes;
  }

  private piece(file: RangedFile, index: number): Promise<Uint8Array<ArrayBuffer>> {
    const key = `${index} ${file.name}`;
    const length = Math.min(PIECE, file.size - index * PIECE);
    const piece = this.kept.get(key) ?? file.piece(index * PIECE, length);
    this.kept.delete(key);
    this.kept.set(key, piece);
    piece.catch(() => this.kept.get(key) === piece && this.kept.delete(key));
    for (const oldest of this.kept.keys()) if (this.kept.size > MOST_KEPT) this.kept.delete(oldest);
    return piece;
  }

  private loaded(file: RangedFile, index: number): number {
    const come = this.come.get(file) ?? new Set();
    this.come.set(file, come.add(index));
    return Math.min(file.size, come.size * PIECE);
  }
}
