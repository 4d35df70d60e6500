/**
 * One file at a URL. The first request shows whether it exists, its length, whether the server supports ranges, and whether
 * the cached version is current; the rest is fetched on demand. A web page counts as a missing file, because many servers
 * send one for every unknown path.
 */
import { type ByteSource, blobSource, byteSource, memorySource } from './byte-source.ts';
import { InputError, MissingFileError, quote } from './errors.ts';
import { discard, type FetchOptions, fetchOnce, persist, request, shown } from './http.ts';
import {
  announcedLength,
  beginning,
  beginsLikeHtml,
  bodyOf,
  checkLength,
  isEncoded,
  isHtml,
  isXml,
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
  /** Stores fetched files for later; without it, nothing is kept after the program ends. */
  cache?: HubCache | undefined;
}

/** A file's location in a folder. */
interface Place {
  folder: string;
  path: string;
  /** Recently read pieces of the folder's files, in memory. */
  recent: PieceCache;
}

/** Whether the file will be read, or only its existence is of interest. */
export type Wanted = 'file' | 'existence';

/** The result of asking a server for a URL. */
export interface Found {
  isThere: boolean;
  /** Absent if the file is long, the server does not support ranges, and only its existence was asked for. */
  source?: ByteSource;
  /** The reason why it counts as missing, if the server did not say so. */
  because?: InputError;
  /** Whether the source keeps a long file in memory. */
  isLarge?: boolean;
}

/** Statuses of missing files. */
const MISSING = [404, 410];
/** Size of the first piece: small files are complete after one request. */
const FIRST_PIECE = 2 ** 16;

const WAY_OUT = 'Try again, or download the file separately and give the folder on disk';

export class RemoteFile {
  /** Name in error messages. */
  private readonly name: string;
  private readonly kept: AddressCache | undefined;
  /** Whether all response headers are visible: browsers hide some headers of other origins. */
  private readonly showsHeaders: boolean;

  constructor(
    private readonly url: string,
    private readonly options: FetchFilesOptions & Place,
  ) {
    this.name = `${options.folder}/${options.path}`;
    this.kept = options.cache && new AddressCache(options.cache, url, this.name, options);
    this.showsHeaders = !isForeign(url);
  }

  /** Asks the server. Throws {@link InputError} if it refuses, or sends something else. */
  async look(wanted: Wanted): Promise<Found> {
    const kept = await this.kept?.find();
    return persist(async () => {
      // On another origin, the conditional header would need a preflight request.
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
      // Browsers reject a range of a file that the server compresses, without giving the reason; the whole file may still
      // be available.
      return this.ask({}).catch(() => Promise.reject(failure));
    }
  }

  private ask(headers: Record<string, string>): Promise<Response> {
    // The browser does not need to cache what is stored here.
    return fetchOnce(this.url, { headers, ...(this.kept && { cache: 'no-store' }) }, this.options);
  }

  /** Interprets the status of a response without the file. Throws {@link InputError} if the server refuses. */
  private absence(response: Response, sound: number): Found | undefined {
    const { status, headers, ok } = response;
    if (MISSING.includes(status)) return { isThere: false };
    if (ok && isHtml(response)) return this.page(response);
    if (status === 403 && isXml(response)) return this.denied();
    if (status === sound) return undefined;
    // An empty file has no first byte.
    if (status === 416 && !/\/[1-9]/.test(headers.get('content-range') ?? ''))
      return there(memorySource(new Uint8Array(), this.name));
    throw statusError(this.name, response);
  }

  private page({ redirected, url }: Response): Found {
    const from = redirected ? `, from ${shown(url)}` : '';
    return this.missing(
      `: the server responds with a web page (HTML)${from}`,
      'Check the address; if it requires a login, download the files separately',
    );
  }

  /** A bucket (S3, Google Cloud) whose files may be read but not listed does not say which files are missing. */
  private denied(): Found {
    return this.missing(
      ', or no access to it: the server responded with 403',
      'Check the address and access',
    );
  }

  private missing(because: string, wayOut: string): Found {
    const { path, folder } = this.options;
    const what = `there is no file ${quote(path)} in ${folder}${because}`;
    return { isThere: false, because: new MissingFileError(this.name, what, wayOut) };
  }

  /** Uses a response with the requested range, the beginning of the file. */
  private async byRange(response: Response, wanted: Wanted, kept: CachedVersion | undefined): Promise<Found> {
    const absence = this.absence(response, 206);
    if (absence) return absence;
    const sent = contentRange(response);
    const size = isEncoded(response) ? undefined : (sent?.total ?? (await this.sizeByHead()));
    if (size === undefined) return this.wholeAnew(wanted, kept);
    checkLength(this.options.path, size, this.name);
    // Some servers send less than requested.
    const length = Math.min(FIRST_PIECE, size, sent?.length ?? size);
    const body = bodyOf(response, this.name, this.options);
    const start = await beginning(body, length).finally(() => body.return(undefined));
    if (beginsLikeHtml(start.bytes)) return this.page(response);
    if (!start.isWhole || start.bytes.byteLength !== length || (sent && sent.start !== 0)) {
      // An encoding that the page cannot see would change the number of bytes.
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

  /** The size from a HEAD request, if the page cannot see the range header of another origin. */
  private async sizeByHead(): Promise<number | undefined> {
    // With a range header, a browser requests uncompressed bytes and therefore gets their number.
    const head = await request(this.url, { method: 'HEAD', headers: { range: 'bytes=0-' } }, this.options);
    return head.ok ? announcedLength(head) : undefined;
  }

  private otherThan(length: number, { bytes, isWhole }: { bytes: Uint8Array; isWhole: boolean }): Error {
    if (isWhole && bytes.byteLength < length) return this.short(bytes.byteLength, length);
    const what = `the server did not send the first ${length} bytes, which were requested`;
    return new InputError(this.name, what, WAY_OUT);
  }

  /** Fetches the whole file, because ranges failed. */
  private async wholeAnew(wanted: Wanted, kept: CachedVersion | undefined): Promise<Found> {
    const response = await this.ask({});
    return this.whole(response, wanted, kept).finally(() => discard(response));
  }

  /** Uses a response with the whole file. */
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

  /** The limit is the announced number of bytes, or that of the file type if a hidden encoding may change the number. */
  private limit(announced: number | undefined): Limit {
    const byKind = limitByKind(this.options.path);
    const isBinding = announced !== undefined && (this.showsHeaders || announced > byKind.bytes);
    return isBinding ? { bytes: announced, which: 'that it announced' } : byKind;
  }

  /** Bytes of known number: written to their destination as they arrive. */
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
    // If the cache failed on the way, the response is partly consumed, so the file is requested again.
    const bytes = await inMemory(size, this.name, fill);
    return { ...there(memorySource(bytes, this.name)), isLarge: size > FIRST_PIECE };
  }

  /** Bytes of unknown number. */
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

  /** A long file whose beginning is known; the rest is fetched on demand. */
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
    return new PassingFailure(new InputError(this.name, `only ${come} of ${length} bytes arrived`, WAY_OUT));
  }

  private tell(loaded: number, total: number): void {
    this.options.onProgress?.({ file: this.options.path, loaded, total });
  }
}

function there(source: ByteSource): Found {
  return { isThere: true, source };
}
