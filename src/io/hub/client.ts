/**
 * The Hugging Face Hub: a repository at one commit as a folder, whose files are fetched on demand, verified by their hashes
 * and stored in a cache. Cached data is never requested again: the commit of a branch, the list of files, the files. A
 * token is only sent to the hub.
 */
import { type ByteSource, byteSource } from '../byte-source.ts';
import { InputError, listed, quote, reason } from '../errors.ts';
import { type Files, filesOf, namesIn } from '../files.ts';
import { discard, type FetchOptions, fetchOnce, persist, shown } from '../http.ts';
import { checkLength, isHtml, textOf } from '../http-body.ts';
import { isObject } from '../json.ts';
import { MODEL_CONFIG } from '../weights.ts';
import type { HubCache } from './cache.ts';
import { type DownloadOptions, download } from './download.ts';
import { refusal } from './errors.ts';
import { type Entry, entryOf, type Listing, listingPaths, readListing, writeListing } from './listing.ts';
import { hubEndpoint, isCommit, isRevision, type RepositoryName } from './repository.ts';

export interface HubOptions extends FetchOptions {
  /** Branch, tag or commit; `main` by default. */
  revision?: string | undefined;
  /** For private or gated repositories. */
  token?: string | undefined;
  /** The URL of a hub other than huggingface.co. */
  endpoint?: string | undefined;
  /** Ask for the current commit of a branch, even if the cache has one. */
  refresh?: boolean | undefined;
  /** Make no requests: a file that is not in the cache is missing. */
  offline?: boolean | undefined;
  cache?: HubCache | undefined;
}

/** A response of the hub's API. */
interface Answer {
  json: unknown;
  /** URL of the next page of its list. */
  next: string | undefined;
  length: number;
}

/** Maximum number of pages of a list of files; the hub returns a thousand files per page. */
const MOST_PAGES = 1000;
/** Maximum bytes of a response, and of all pages of a list together: a thousand files take half a megabyte. */
const MOST_ANSWER_BYTES = 2 ** 23;
const MOST_LIST_BYTES = 2 ** 26;

/** The repository as a folder. Its name is the id, its revision is the commit in use. */
export async function hubFiles(name: RepositoryName, cache: HubCache, options: HubOptions): Promise<Files> {
  const repository = new Repository(name.id, cache, options);
  const commit = await repository.commitOf(name.revision ?? options.revision ?? 'main');
  const find = (path: string) => repository.find(commit, path);
  const has = (path: string) => repository.has(commit, path);
  const list = (folder: string) => repository.list(commit, folder);
  return { ...filesOf(name.id, find, has, list), revision: commit };
}

class Repository {
  private readonly endpoint: string;
  private readonly headers: Record<string, string>;
  private listing: Promise<Listing> | undefined;

  constructor(
    private readonly id: string,
    private readonly cache: HubCache,
    private readonly options: HubOptions,
  ) {
    this.endpoint = hubEndpoint(options);
    this.headers = authorization(options.token);
  }

  /** The commit of the revision: from the cache if present, otherwise from the hub. */
  async commitOf(revision: string): Promise<string> {
    if (isCommit(revision)) return revision;
    if (!isRevision(revision))
      throw new InputError(
        this.id,
        `${quote(revision)} is not a valid revision`,
        'Give a branch, a tag or a commit',
      );
    const kept = (await this.cache.readText(this.id, `refs/${revision}`))?.trim();
    if (isCommit(kept) && (!this.options.refresh || this.options.offline)) {
      this.tell(
        `${this.id}: ${revision} is commit ${kept.slice(0, 8)}, according to the cache (refresh asks again)`,
      );
      return kept;
    }
    const what = `the commit of its revision ${quote(revision)}`;
    this.mayAsk(what);
    const found = await this.json(
      `/api/models/${this.id}/revision/${encodeURIComponent(revision)}`,
      revision,
    );
    const commit = isObject(found.json) ? found.json.sha : undefined;
    if (!isCommit(commit)) throw this.malformed(what);
    this.tell(`${this.id}: ${revision} is commit ${commit.slice(0, 8)}, according to ${this.endpoint}`);
    await this.cache.writeText(this.id, `refs/${revision}`, commit);
    return commit;
  }

  async has(commit: string, path: string): Promise<boolean> {
    const known = await this.keptListing(commit);
    if (known) return known.has(path);
    if (await this.cache.open({ repository: this.id, commit, path })) return true;
    return !this.options.offline && (await this.askedListing(commit)).has(path);
  }

  /** Names of the files in a folder; empty without a listing and a network. */
  async list(commit: string, folder: string): Promise<string[]> {
    const known = await this.keptListing(commit);
    if (!known && this.options.offline) return [];
    return namesIn(folder, (known ?? (await this.askedListing(commit))).keys());
  }

  /** The file from the cache, fetched first if necessary. */
  async find(commit: string, path: string): Promise<ByteSource | undefined> {
    const file = { repository: this.id, commit, path };
    const known = await this.keptListing(commit);
    if (known && !known.has(path)) return this.missing(path, known);
    const kept = await this.cache.open({ ...file, ...known?.get(path) });
    if (kept) return this.named(kept, path);
    this.mayAsk(`the file ${path}`);
    const listing = known ?? (await this.askedListing(commit));
    const entry = listing.get(path);
    if (!entry) return this.missing(path, listing);

    const { onProgress, signal, onNotice } = this.options;
    checkLength(path, entry.size, `${this.id}/${path}`);
    const wanted = {
      url: `${this.endpoint}/${this.id}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`,
      headers: this.headers,
      name: `${this.id}/${path}`,
      ...entry,
      refused: (response: Response) => this.refused(response, path, commit),
    };
    const onBytes = (loaded: number) => onProgress?.({ file: path, loaded, total: entry.size });
    const options: DownloadOptions = { ...this.options, onBytes };
    const whole = { ...file, ...entry };
    const fetched = await this.cache.add(whole, (partial) => download(wanted, partial, options), {
      signal,
      onNotice,
    });
    return this.named(fetched, path);
  }

  /** Handles a missing file. If the repository only has GGUF files, the error suggests one. */
  private missing(path: string, listing: Listing): undefined {
    const models = [...listing.keys()].filter((file) => file.endsWith('.gguf'));
    if (path !== MODEL_CONFIG || models.length === 0) return undefined;
    const what = `has no ${MODEL_CONFIG}, but contains ${listed(models)}`;
    throw new InputError(this.id, what, `Name one of its files: ${this.id}/${models[0]}`);
  }

  /** The same bytes under the file's path in the repository. */
  private named({ size, read }: ByteSource, path: string): ByteSource {
    return byteSource(`${this.id}/${path}`, size, read);
  }

  /** A listing stored by webalign or by Hugging Face's tools. */
  private async keptListing(commit: string): Promise<Listing | undefined> {
    for (const path of this.listing ? [] : listingPaths(commit)) {
      const listing = readListing(await this.cache.readText(this.id, path));
      if (listing) this.listing = Promise.resolve(listing);
      if (listing) break;
    }
    return this.listing;
  }

  private askedListing(commit: string): Promise<Listing> {
    this.listing ??= this.askListing(commit).catch((error) => {
      this.listing = undefined;
      throw error;
    });
    return this.listing;
  }

  private async askListing(commit: string): Promise<Listing> {
    const listing = new Map<string, Entry>();
    let page: string | undefined = `/api/models/${this.id}/tree/${commit}?recursive=true`;
    let left = MOST_LIST_BYTES;
    for (let pages = 0; page !== undefined; pages++) {
      // A server may return an endless sequence of pages.
      if (pages === MOST_PAGES) throw this.malformed('where its list of files ends');
      const { json, next, length }: Answer = await this.json(page, commit, left);
      left -= length;
      if (!Array.isArray(json)) throw this.malformed('its list of files');
      for (const item of json) {
        const entry = entryOf(item);
        if (entry) listing.set(item.path, entry);
      }
      page = next;
    }
    await this.cache.writeText(this.id, listingPaths(commit)[0], writeListing(listing));
    return listing;
  }

  /** Calls the hub's API. The next page must be on the same hub, because the token is sent with the request. */
  private async json(path: string, revision: string, left = MOST_ANSWER_BYTES): Promise<Answer> {
    const url = `${this.endpoint}${path}`;
    const headers = { ...this.headers, accept: 'application/json' };
    const { text, link } = await persist(async () => {
      const response = await fetchOnce(url, { headers }, this.options);
      if (response.ok && !isHtml(response)) {
        const bytes = Math.min(MOST_ANSWER_BYTES, left);
        const limit = { bytes, which: 'that are allowed for a response of the hub' };
        const link = response.headers.get('link') ?? '';
        return { text: await textOf(response, limit, shown(url), this.options), link };
      }
      discard(response);
      if (!response.ok) throw this.refused(response, undefined, revision);
      const what = 'responds with a web page (HTML), unlike a hub';
      throw new InputError(shown(url), what, 'Check HF_ENDPOINT, and whether the network requires a login');
    }, this.options);
    const next = /<([^>]+)>;\s*rel="next"/.exec(link)?.[1];
    const nextUrl = next !== undefined && URL.canParse(next, url) ? new URL(next, url) : undefined;
    const home = new URL(url).origin;
    if (next !== undefined && nextUrl?.origin !== home) throw this.malformed('its list of files');
    try {
      const nextPath = nextUrl?.href.slice(new URL(this.endpoint).href.replace(/\/$/, '').length);
      return { json: JSON.parse(text), next: nextPath, length: text.length };
    } catch (cause) {
      throw new InputError(url, `cannot be read: ${reason(cause)}`, 'Check that it is the address of a hub', {
        cause,
      });
    }
  }

  private refused(response: Response, file?: string, revision?: string): InputError {
    const { id, endpoint } = this;
    return refusal(response, { id, endpoint, file, revision, hasToken: this.options.token !== undefined });
  }

  private mayAsk(what: string): void {
    if (!this.options.offline) return;
    const wayOut =
      'Go online once (HF_HUB_OFFLINE is set, or the option offline), or choose a model that is in the cache';
    throw new InputError(this.id, `${what} is not in the cache, and requests are not allowed`, wayOut);
  }

  private malformed(what: string): InputError {
    return new InputError(
      this.endpoint,
      `does not provide ${what} for ${this.id}`,
      'Check that it is the address of a hub',
    );
  }

  private tell(line: string): void {
    this.options.onNotice?.(line);
  }
}

/** The authorization header of a token. Neither this error nor one of the platform may contain an invalid token. */
function authorization(token: string | undefined): Record<string, string> {
  if (token === undefined) return {};
  if (/^[\x21-\x7e]+$/.test(token)) return { authorization: `Bearer ${token}` };
  throw new InputError(
    'token',
    'contains characters that are invalid in a token',
    'Copy it again, without spaces or line ends',
  );
}
