/**
 * Opens models that are fetched: from a URL, or from the hub. `sources.ts` loads this module for them; a page that reads local files
 * does not need it.
 */
import { InputError, quote } from './errors.ts';
import type { Files } from './files.ts';
import { fetchFiles } from './http-files.ts';
import { type HubCache, memoryHubCache } from './hub/cache.ts';
import { hubFiles } from './hub/client.ts';
import { opfsAddressCache, opfsHubCache } from './hub/opfs-cache.ts';
import type { RepositoryName } from './hub/repository.ts';
import { isSingleFile, openSingleFile, SINGLE_FILES } from './single-file.ts';
import type { SourceOptions } from './sources.ts';

/** The folder at a URL, or the model in the single file there. */
export async function openAddress(url: URL, options: SourceOptions): Promise<Files> {
  const cache = (options.addressCache ?? (await opfsAddressCache())) || undefined;
  const last = url.pathname.split('/').at(-1)!;
  if (!isSingleFile(last)) return fetchFiles(url.href, { ...options, cache });
  const parent = new URL(url);
  parent.pathname = url.pathname.slice(0, -last.length);
  return openSingleFile(fetchFiles(parent.href, { ...options, cache }), decodeURIComponent(last));
}

/** A repository of the hub, or one file of it. */
export async function openHub(named: RepositoryName, options: SourceOptions): Promise<Files> {
  const { id, file, revision } = named;
  if (revision !== undefined && options.revision !== undefined && revision !== options.revision) {
    const what = `its revision is given twice, as ${quote(revision)} and as ${quote(options.revision)}`;
    throw new InputError(id, what, 'Give one of them');
  }
  if (file !== undefined && !isSingleFile(file)) {
    const kinds = Object.keys(SINGLE_FILES).join(', ');
    throw new InputError(
      `${id}/${file}`,
      `is not a file that contains a whole model: ${kinds}`,
      `Give ${id}`,
    );
  }
  const folder = await hubFiles(named, options.cache ?? (await pageCache(id, options)), options);
  return file === undefined ? folder : openSingleFile(folder, file);
}

/** The cache of the page; memory, with a notice, if the page has none. */
async function pageCache(id: string, { onNotice }: SourceOptions): Promise<HubCache> {
  if ((globalThis as { process?: { versions?: { node?: string } } }).process?.versions?.node !== undefined) {
    const wayOut = "In Node use openSource from 'webalign/node', or give the option cache";
    throw new InputError(id, 'is a repository of the hub, but there is no cache to store it in', wayOut);
  }
  const cache = await opfsHubCache();
  if (cache) return cache;
  onNotice?.(
    `${id}: this browser cannot store files for this page, so the model is downloaded again on every visit`,
  );
  return memoryHubCache();
}
