/**
 * Opens a model from any kind of source as {@link Files}: one row per kind; `src/node/` adds folders on disk. Opening makes
 * no request that the source does not need. Code that only some sources need is loaded on demand.
 */
import { isOwn, own } from '../base/lookup.ts';
import type { ByteSource } from './byte-source.ts';
import { InputError, listed, quote } from './errors.ts';
import { blobFiles, type Files, filesOf } from './files.ts';
import type { HubCache } from './hub/cache.ts';
import type { HubOptions } from './hub/client.ts';
import { hubEndpoint, type RepositoryName, repositoryNamed, repositoryOfPage } from './hub/repository.ts';
import { isRelative, resolveAddress } from './page-address.ts';
import { MODEL_CONFIG, MODEL_WEIGHTS } from './weights.ts';

/**
 * The possible sources of a model: an open folder; a repository of the hub, `owner/name` or `owner/name@revision`; the URL
 * of a folder, which may be relative in a page (`/model`, `./model`); a folder or files that the user chose or dropped. A
 * URL, a repository or a chosen file may name a single file that contains a whole model.
 */
export type Source = Files | string | URL | FileSystemDirectoryHandle | Blob | Iterable<File>;

export interface SourceOptions extends HubOptions {
  /**
   * Base of a relative URL: by default the page's own URL, in a worker its script's. A worker created from a blob has none;
   * there the page must pass its `document.baseURI`.
   */
  base?: string | URL | undefined;
  /** Stores files from URLs; default: the browser's storage, in Node a folder. `false` disables it. */
  addressCache?: HubCache | false | undefined;
}

/** Opens a source of its kind; undefined for any other. */
export type Opener = (source: Source, options: SourceOptions) => Promise<Files | undefined> | undefined;

/** The first one that supports the source opens it. */
const OPENERS: readonly Opener[] = [openFolder, openDirectory, openChosen, openAddress, openRepository];

/** Opens a model's files; openers in `before` are tried first. {@link InputError} says how the source was interpreted. */
export async function openSource(
  source: Source,
  options: SourceOptions = {},
  before: readonly Opener[] = [],
): Promise<Files> {
  const isSupported = typeof source === 'string' || (typeof source === 'object' && source !== null);
  for (const open of isSupported ? [...before, ...OPENERS] : []) {
    const files = await open(source, options);
    if (!files) continue;
    if (options.revision === undefined || files.revision !== undefined) return files;
    const what = `has no revisions, but ${quote(options.revision)} was requested`;
    throw new InputError(files.name, what, 'Leave the revision out, or name a repository of the hub');
  }
  const what = 'is not a folder, a repository (owner/name) or an address (https://…)';
  throw new InputError(quote(source), what, 'Name one of them');
}

function openFolder(source: Source): Promise<Files> | undefined {
  const isFiles = typeof source === 'object' && 'open' in source && 'readText' in source;
  return isFiles ? Promise.resolve(source) : undefined;
}

/** A folder that the user gave a page access to, or one of the page's own. */
function openDirectory(source: Source): Promise<Files> | undefined {
  if (typeof source !== 'object' || !('getDirectoryHandle' in source)) return undefined;
  const { name } = source;
  const find = async (path: string) => {
    const steps = path.split('/');
    let folder = source;
    try {
      for (const step of steps.slice(0, -1)) folder = await folder.getDirectoryHandle(step);
      const file = await (await folder.getFileHandle(steps.at(-1) as string)).getFile();
      return blobFiles({ [path]: file }, name).open(path);
    } catch (error) {
      if (/^(NotFound|TypeMismatch)Error$/.test((error as Error).name)) return undefined;
      throw error;
    }
  };
  return Promise.resolve(filesOf(name, find));
}

/** Files that the user chose or dropped, by path without the common parent folders. */
function openChosen(source: Source): Promise<Files> | undefined {
  if (typeof source === 'string' || !(source instanceof Blob || Symbol.iterator in source)) return undefined;
  const files = source instanceof Blob ? [source] : [...source];
  const paths = files.map((file) => {
    const { webkitRelativePath, name = 'file' } = file as Partial<File>;
    return (webkitRelativePath || name).split('/');
  });
  if (paths.length === 0)
    throw new InputError('the chosen files', 'the list is empty', 'Choose a folder or a file');
  const [one = []] = paths;
  let shared = 0;
  while (paths.every((path) => shared < path.length - 1 && path[shared] === one[shared])) shared++;
  const named = files.map((file, i) => [(paths[i] as string[]).slice(shared).join('/'), file] as const);
  const folder = blobFiles(Object.fromEntries(named), one[shared - 1]);
  const [[only]] = named as [readonly [string, Blob]];
  const model =
    named.length === 1 && isSingleFile(only)
      ? only
      : loneModel(
          folder.name,
          named.map(([path]) => path),
        );
  return model === undefined ? Promise.resolve(folder) : openSingleFile(folder, model);
}

function openAddress(source: Source, options: SourceOptions): Promise<Files> | undefined {
  const url = addressOf(source, options);
  if (!url) return undefined;
  if (url.username || url.password)
    throw new InputError(url.host, 'the address contains a user name or a password', 'Leave them out');
  const repository = repositoryOfPage(url, hubEndpoint(options));
  if (repository) return openHub(repository, options);
  return openAddressOf(url, options);
}

async function openAddressOf(url: URL, options: SourceOptions): Promise<Files> {
  const { fetchFiles, opfsAddressCache } = await import('./remote.ts');
  const cache = (options.addressCache ?? (await opfsAddressCache())) || undefined;
  const last = url.pathname.split('/').at(-1) as string;
  if (!isSingleFile(last)) return fetchFiles(url.href, { ...options, cache });
  const parent = new URL(url);
  parent.pathname = url.pathname.slice(0, -last.length);
  return openSingleFile(fetchFiles(parent.href, { ...options, cache }), decodeURIComponent(last));
}

/** The source as a URL; undefined for any other source. */
function addressOf(source: Source, { base }: SourceOptions): URL | undefined {
  const text = source instanceof URL ? source.href : source;
  if (typeof text !== 'string') return undefined;
  if (isRelative(text)) return resolveAddress(text, base);
  if (!/^https?:\/\//i.test(text)) return undefined;
  if (!URL.canParse(text)) throw new InputError(quote(text), 'is not a valid URL', 'Check it');
  return new URL(text);
}

function openRepository(source: Source, options: SourceOptions): Promise<Files> | undefined {
  const named = typeof source === 'string' ? repositoryNamed(source) : undefined;
  return named && openHub(named, options);
}

async function openHub(named: RepositoryName, options: SourceOptions): Promise<Files> {
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
  const { hubFiles } = await import('./remote.ts');
  const folder = await hubFiles(named, options.cache ?? (await pageCache(id, options)), options);
  return file === undefined ? folder : openSingleFile(folder, file);
}

/** The cache of the page; memory, with a notice, if the page has none. */
async function pageCache(id: string, { onNotice }: SourceOptions): Promise<HubCache> {
  if ((globalThis as { process?: { versions?: { node?: string } } }).process?.versions?.node !== undefined) {
    const wayOut = "In Node use openSource from 'webalign/node', or give the option cache";
    throw new InputError(id, 'is a repository of the hub, but there is no cache to store it in', wayOut);
  }
  const { memoryHubCache, opfsHubCache } = await import('./remote.ts');
  const cache = await opfsHubCache();
  if (cache) return cache;
  onNotice?.(
    `${id}: this browser cannot store files for this page, so the model is downloaded again on every visit`,
  );
  return memoryHubCache();
}

/** Files that contain a whole model, by extension: how to open each as a folder. */
const SINGLE_FILES: Readonly<Record<string, (file: ByteSource, folder: Files) => Promise<Files>>> = {
  '.gguf': async (file) => (await import('./gguf/files.ts')).ggufFiles(file),
  /** Weights with an unusual name; the rest of the model is in the same folder. */
  '.safetensors': async (file, folder) => {
    const has = async (path: string) => path === MODEL_WEIGHTS || folder.exists(path);
    const find = async (path: string) =>
      path === MODEL_WEIGHTS ? file : (await has(path)) ? folder.open(path) : undefined;
    return filesOf(file.name, find, has, folder.list);
  },
};

/** Whether a file with this name contains a whole model. */
export function isSingleFile(path: string): boolean {
  return isOwn(SINGLE_FILES, endingOf(path));
}

/** The only file in a folder that contains a whole model; undefined if the folder itself is a model, or there is none. */
export function loneModel(folder: string, paths: readonly string[]): string | undefined {
  if (paths.includes(MODEL_CONFIG)) return undefined;
  const found = paths.filter((path) => endingOf(path) === '.gguf' && !path.includes('/'));
  if (found.length < 2) return found[0];
  throw new InputError(folder, `contains several models: ${listed(found)}`, 'Name the file of one of them');
}

/** The folder for the file at `path` of `folder`. */
export async function openSingleFile(folder: Files, path: string): Promise<Files> {
  const open = own(SINGLE_FILES, endingOf(path));
  if (!open) throw new Error(`${path} does not contain a whole model`);
  const below = path.split('/').slice(0, -1).join('/');
  const files = await open(await folder.open(path), below === '' ? folder : subfolder(folder, below));
  return { ...files, ...(folder.revision !== undefined && { revision: folder.revision }) };
}

function subfolder(folder: Files, below: string): Files {
  const at = (path: string) => `${below}/${path}`;
  const has = (path: string) => folder.exists(at(path));
  const find = async (path: string) => ((await has(path)) ? folder.open(at(path)) : undefined);
  const { list } = folder;
  return filesOf(folder.name, find, has, list && ((path) => list(at(path))));
}

function endingOf(path: string): string {
  return /\.\w+$/.exec(path)?.[0].toLowerCase() ?? '';
}
