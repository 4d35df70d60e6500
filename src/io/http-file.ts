/**
 * One file at an address. Its first bytes show whether it is there, how long it is, whether the server gives ranges and whether
 * it is what the cache has; the rest is fetched when it is read. A web page in its place is a missing file: many servers answer
 * so for whatever they do not have.
 */
import { type ByteSource, blobSource, byteSource, memorySource } from './byte-source.ts';
import { InputError, quote } from './errors.ts';
import { discard, type FetchOptions, fetchOnce, persist, request, shown } from './http.ts';
import {
  announcedLength,
  beginning,
  beginsLikeHtml,
  bodyOf,
  checkLength,
  isEncoded,
  isHtml,
  joined,
  type Limit,
  limitByKind,
  within,
} from './http-body.ts';
import { AddressCache, type CachedVersion, isStill, unlessIsStill } from './http-cache.ts';
import { NoAnswerError, PassingFailure, statusError } from './http-failures.ts';
import { contentRange, type PieceCache, RangedFile, range, versionOf } from './http-ranges.ts';
import type { HubCache } from './hub/cache.ts';
import { isForeign, pageOrigin } from './page-address.ts';
import { inMemory, type PartialFile } from './partial-file.ts';

export interface FetchFilesOptions extends FetchOptions {
  /** Keeps what was fetched for the next time; without one nothing is kept beyond the program. */
  cache?: HubCache | undefined;
}

/** Where a file is in a folder. */
interface Place {
  folder: string;
  path: string;
  /** Pieces that the files of the folder have in memory. */
  recent: PieceCache;
}

/** Whether a file will be read. */
export type Wanted = 'file' | 'existence';

/** What a server has at an address. */
export interface Found {
  isThere: boolean;
  /** Left out where the file is long, the server gives no ranges, and only its existence was asked for. */
  source?: ByteSource;
  /** Why it counts as missing, where the server does not say so. */
  because?: InputError;
  /** Whether the source holds a long file in memory. */
  isLarge?: boolean;
}

/** Statuses of what is not there. */
const MISSING = [404, 410];
/** The first piece that is asked for: a small file is then there whole, with one request. */
const FIRST_PIECE = 2 ** 16;

const WAY_OUT = 'Try again, or fetch the file by other means and give the folder on disk';

export class RemoteFile {
  /** For messages. */
  private readonly name: string;
  private readonly kept: AddressCache | undefined;
  /** Whether the answers' headers can be relied on: a page is not shown all headers of another host. */
  private readonly showsHeaders: boolean;

  constructor(
    private readonly url: string,
    private readonly options: FetchFilesOptions & Place,
  ) {
    this.name = `${options.folder}/${options.path}`;
    this.kept = options.cache && new AddressCache(options.cache, url, this.name, options);
    this.showsHeaders = !isForeign(url);
  }

  /** Asks the server. {@link InputError} where it refuses, or answers something else. */
  async look(wanted: Wanted): Promise<Found> {
    const kept = await this.kept?.find();
    return persist(async () => {
      // A page would have to ask another host for leave first.
      const unless = kept && this.showsHeaders ? unlessIsStill(kept.version) : {};
      const response = await this.askBeginning(unless);
      if (response.status === 304 && kept) return there(kept.source);
      const found = response.status === 206 && this.byRange(response, wanted, kept);
      return await (found || this.whole(response, wanted, kept)).finally(() => discard(response));
    }, this.options);
  }

  private async askBeginning(unless: Record<string, string>): Promise<Response> {
    try {
      return await this.ask({ ...range(0, FIRST_PIECE), ...unless });
    } catch (failure) {
      const error = failure instanceof PassingFailure ? failure.error : failure;
      if (pageOrigin() === undefined || !(error instanceof NoAnswerError)) throw failure;
      // A browser takes no range of a file that the server has compressed, and does not say so: the whole may be had.
      return this.ask({}).catch(() => Promise.reject(failure));
    }
  }

  private ask(headers: Record<string, string>): Promise<Response> {
    // What is kept here need not be kept by the browser as well.
    return fetchOnce(this.url, { headers, ...(this.kept && { cache: 'no-store' }) }, this.options);
  }

  /** What an answer means of another status than a file's. {@link InputError} where the server refuses. */
  private absence(response: Response, sound: number): Found | undefined {
    const { status, headers, ok } = response;
    if (MISSING.includes(status)) return { isThere: false };
    if (ok && isHtml(response)) return this.page(response);
    if (status === sound) return undefined;
    // An empty file has no first byte.
    if (status === 416 && !/\/[1-9]/.test(headers.get('content-range') ?? ''))
      return there(memorySource(new Uint8Array(), this.name));
    throw statusError(this.name, response);
  }

  private page({ redirected, url }: Response): Found {
    const { path, folder } = this.options;
    const from = redirected ? `, from ${shown(url)}` : '';
    const what = `there is no file ${quote(path)} in ${folder}: the server answers with a web page (HTML)${from}`;
    const wayOut = 'Check the address; where it needs a login, fetch the files by other means';
    return { isThere: false, because: new InputError(this.name, what, wayOut) };
  }

  /** By the range that was asked for, which is the file's beginning. */
  private async byRange(response: Response, wanted: Wanted, kept: CachedVersion | undefined): Promise<Found> {
    const absence = this.absence(response, 206);
    if (absence) return absence;
    const sent = contentRange(response);
    const size = isEncoded(response) ? undefined : (sent?.total ?? (await this.sizeByHead()));
    if (size === undefined) return this.wholeAnew(wanted, kept);
    checkLength(this.options.path, size, this.name);
    // Some servers give less than they are asked for.
    const length = Math.min(FIRST_PIECE, size, sent?.length ?? size);
    const body = bodyOf(response, this.name, this.options);
    const start = await beginning(body, length).finally(() => body.return(undefined));
    if (beginsLikeHtml(start.bytes)) return this.page(response);
    if (!start.isWhole || start.bytes.byteLength !== length || (sent && sent.start !== 0)) {
      // An encoding that a page is not shown makes more or fewer bytes of those of the range.
      if (!this.showsHeaders) return this.wholeAnew(wanted, kept);
      throw this.otherThan(length, start);
    }
    const version = versionOf(response, size);
    if (kept && isStill(kept.version, version)) return there(kept.source);
    if (length < size)
      return there(this.lazy(start.bytes, new RangedFile(this.url, this.name, version, this.options)));
    this.tell(size, size);
    const source = await this.kept?.keep(version, (partial) => partial.append(start.bytes));
    return there(source ?? memorySource(start.bytes, this.name));
  }

  /** The size by HEAD, where a page is not shown the range of another host. */
  private async sizeByHead(): Promise<number | undefined> {
    // With a range a browser asks for the bytes as they are, not compressed, and so hears their number.
    const head = await request(this.url, { method: 'HEAD', headers: { range: 'bytes=0-' } }, this.options);
    return head.ok ? announcedLength(head) : undefined;
  }

  private otherThan(length: number, { bytes, isWhole }: { bytes: Uint8Array; isWhole: boolean }): Error {
    if (isWhole && bytes.byteLength < length) return this.short(bytes.byteLength, length);
    const what = `the server sends something else than the first ${length} bytes, which were asked for`;
    return new InputError(this.name, what, WAY_OUT);
  }

  /** Without ranges, which lead nowhere. */
  private async wholeAnew(wanted: Wanted, kept: CachedVersion | undefined): Promise<Found> {
    const response = await this.ask({});
    return this.whole(response, wanted, kept).finally(() => discard(response));
  }

  /** By an answer that holds the whole file. */
  private async whole(response: Response, wanted: Wanted, kept: CachedVersion | undefined): Promise<Found> {
    const absence = this.absence(response, 200);
    if (absence) return absence;
    const announced = announcedLength(response);
    if (announced !== undefined) checkLength(this.options.path, announced, this.name);
    const limited = within(bodyOf(response, this.name, this.options), this.limit(announced), this.name);
    const start = await beginning(limited, FIRST_PIECE);
    const body = joined(start.bytes, limited);
    try {
      if (beginsLikeHtml(start.bytes)) return this.page(response);
      if (kept && isStill(kept.version, versionOf(response, announced ?? kept.version.size)))
        return there(kept.source);
      if (wanted === 'existence' && !start.isWhole) return { isThere: true };
      const isExact = announced !== undefined && this.showsHeaders;
      return await (isExact ? this.streamed(response, body, announced) : this.collected(response, body));
    } finally {
      await limited.return(undefined);
    }
  }

  /** As many bytes as are announced. Where a page may not be shown that they are encoded, as many as the kind may have. */
  private limit(announced: number | undefined): Limit {
    const byKind = limitByKind(this.options.path);
    const isBinding = announced !== undefined && (this.showsHeaders || announced > byKind.bytes);
    return isBinding ? { bytes: announced, which: 'that it has announced' } : byKind;
  }

  /** Bytes of which the number is known ahead: they go where they stay as they come. */
  private async streamed(
    response: Response,
    body: AsyncIterable<Uint8Array<ArrayBuffer>>,
    size: number,
  ): Promise<Found> {
    const fill = async (partial: PartialFile) => {
      for await (const part of body) {
        await partial.append(part);
        this.tell(partial.size, size);
      }
      if (partial.size < size) throw this.short(partial.size, size);
    };
    const source = await this.kept?.keep(versionOf(response, size), fill);
    if (source) return there(source);
    // Where the cache has failed on the way the answer is used up, and comes short: it is asked for again.
    const bytes = await inMemory(size, this.name, fill);
    return { ...there(memorySource(bytes, this.name)), isLarge: size > FIRST_PIECE };
  }

  /** Bytes of which only the end says how many they are. */
  private async collected(response: Response, body: AsyncIterable<Uint8Array<ArrayBuffer>>): Promise<Found> {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    for await (const part of body) parts.push(part);
    const blob = new Blob(parts);
    const source = await this.kept?.keep(versionOf(response, blob.size), async (partial) => {
      for (const part of parts) await partial.append(part);
    });
    if (source) return there(source);
    return { ...there(blobSource(blob, this.name)), isLarge: blob.size > FIRST_PIECE };
  }

  /** A long file of which the beginning is there: what lies behind it is fetched when it is read. */
  private lazy(start: Uint8Array<ArrayBuffer>, file: RangedFile): ByteSource {
    const { kept, name } = this;
    const { recent } = this.options;
    const onBytes = (loaded: number) => this.tell(loaded, file.size);
    let keeping: Promise<ByteSource | undefined> | undefined;
    const whole = () => {
      keeping ??= kept
        ?.keep(file.version, (partial) => file.fill(partial, onBytes))
        .catch((error) => {
          keeping = undefined;
          throw error;
        });
      return keeping;
    };
    return byteSource(name, file.size, async (offset, length) => {
      if (offset + length <= start.byteLength) return start.subarray(offset, offset + length);
      const source = await whole();
      return source ? source.read(offset, length) : recent.read(file, offset, length, onBytes);
    });
  }

  private short(come: number, length: number): PassingFailure {
    return new PassingFailure(new InputError(this.name, `${come} bytes came of ${length}`, WAY_OUT));
  }

  private tell(loaded: number, total: number): void {
    this.options.onProgress?.({ file: this.options.path, loaded, total });
  }
}

function there(source: ByteSource): Found {
  return { isThere: true, source };
}
