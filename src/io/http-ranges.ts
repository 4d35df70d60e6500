/**
 * A file of known length on a server that gives ranges: read in large pieces, several at once, and never a mix of two versions.
 * What a server answers to a request for a range is held against what was asked.
 */
import { InputError } from './errors.ts';
import { discard, fetchOnce, type HttpOptions, persist } from './http.ts';
import { bodyOf, isEncoded, within } from './http-body.ts';
import { PassingFailure, statusError } from './http-failures.ts';
import { isForeign } from './page-address.ts';
import { type PartialFile, roomFor } from './partial-file.ts';

/** Bytes of one request. */
export const PIECE = 2 ** 23;
/** Requests at a time. */
const AT_ONCE = 4;
/** Pieces of all files of a folder that stay in memory where there is no cache. */
const MOST_KEPT = 8;

const WAY_OUT = 'Try again, or fetch the file by other means and give the folder on disk';

/** What tells a file on a server from an older one. */
export interface Version {
  etag: string | null;
  lastModified: string | null;
  size: number;
}

export function versionOf({ headers }: Response, size: number): Version {
  return { etag: headers.get('etag'), lastModified: headers.get('last-modified'), size };
}

/** Whether two answers can be of one file. What a server does not send does not count. */
export function sameVersion(a: Version, b: Version): boolean {
  if (a.size !== b.size) return false;
  // A server that encodes an answer on the way weakens its ETag.
  const [one, other] = [a, b].map(({ etag }) => etag?.replace(/^W\//, ''));
  if (one !== undefined && other !== undefined) return one === other;
  return a.lastModified === null || b.lastModified === null || a.lastModified === b.lastModified;
}

/** The header that asks for a range. */
export function range(offset: number, length: number): Record<string, string> {
  return { range: `bytes=${offset}-${offset + length - 1}` };
}

/** What `Content-Range` says; `undefined` where it is not there, or a page is not shown it. */
export function contentRange({
  headers,
}: Response): { start: number; length: number; total: number | undefined } | undefined {
  const [, first, last, total] =
    /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers.get('content-range')?.trim() ?? '') ?? [];
  if (first === undefined) return undefined;
  const start = Number(first);
  return { start, length: Number(last) - start + 1, total: total === '*' ? undefined : Number(total) };
}

/** A file that is read by ranges. */
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

  /** A piece by one request, or several where it breaks off on the way. */
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
      const which = `that were asked for from byte ${offset + filled} on`;
      const body = within(bodyOf(response, this.name, options), { bytes: rest, which }, this.name);
      for await (const part of body) {
        bytes.set(part, filled);
        filled += part.byteLength;
        gained(part.byteLength);
      }
      if (filled === length) return;
      const what = `${filled} of ${length} bytes came from byte ${offset} on`;
      // Some servers give less than they are asked for: what is left can be asked for at once.
      throw new PassingFailure(new InputError(this.name, what, WAY_OUT), 0);
    }, options);
    return bytes;
  }

  /** Appends the whole file to `partial`, pieces in their order, several on their way. */
  async fill(partial: PartialFile, onBytes: (loaded: number) => void): Promise<void> {
    const stop = new AbortController();
    const { signal: asked } = this.options;
    const signal = asked ? AbortSignal.any([asked, stop.signal]) : stop.signal;
    const onTheirWay: Promise<Uint8Array<ArrayBuffer>>[] = [];
    let next = 0;
    const send = () => {
      for (; onTheirWay.length < AT_ONCE && next < this.size; next += PIECE) {
        const piece = this.piece(next, Math.min(PIECE, this.size - next), signal);
        // Where an earlier one fails nobody waits for it any more.
        piece.catch(() => undefined);
        onTheirWay.push(piece);
      }
    };
    try {
      for (send(); onTheirWay.length > 0; send()) {
        await partial.append((await onTheirWay.shift()) as Uint8Array<ArrayBuffer>);
        onBytes(partial.size);
      }
    } finally {
      stop.abort();
    }
  }

  /** `If-Range`, where it can be sent: a page would have to ask another host for leave first, which few give. */
  private condition(): Record<string, string> {
    const { etag } = this.version;
    return etag === null || etag.startsWith('W/') || isForeign(this.url) ? {} : { 'if-range': etag };
  }

  /** {@link InputError} where the answer is not the range that was asked for, of the version that was begun with. */
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
      const what = `the server has no bytes from ${offset} on, where it said that there are ${this.size}`;
      return new InputError(name, what, WAY_OUT);
    }
    if (!response.ok) return statusError(name, response);
    if (!sameVersion(now, this.version))
      return new InputError(
        name,
        'changed on the server while it was read',
        'Try again, with the model opened anew',
      );
    const sent =
      response.status === 206 && found
        ? `bytes ${found.start} to ${found.start + found.length - 1}`
        : 'something else';
    const asked = `bytes ${offset} to ${offset + length - 1}`;
    return new InputError(name, `the server sends ${sent} where ${asked} were asked for`, WAY_OUT);
  }
}

function isWithin(found: ReturnType<typeof contentRange>, offset: number, length: number): boolean {
  return !found || (found.start === offset && found.length <= length);
}

/** The last pieces that were read of the files of a folder, so that what lies side by side is asked for together. */
export class PieceCache {
  /** The one that was used last stands last. */
  private readonly kept = new Map<string, Promise<Uint8Array<ArrayBuffer>>>();
  /** Which pieces of each file have ever come. */
  private readonly come = new WeakMap<RangedFile, Set<number>>();

  /** Bytes of a file; `onBytes` hears of how many different ones there have been. */
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
