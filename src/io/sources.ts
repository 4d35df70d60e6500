/**
 * Opens a model from any kind of source as {@link Files}: one row per kind; `src/node/` adds folders on disk. Opening makes
 * no request that the source does not need. Code that only some sources need is loaded on demand.
 */
import { InputError, quote } from './errors.ts';
import { blobFiles, type Files, filesOf } from './files.ts';
import type { HubCache } from './hub/cache.ts';
import type { HubOptions } from './hub/client.ts';
import { hubEndpoint, type RepositoryName, repositoryNamed, repositoryOfPage } from './hub/repository.ts';
import { isRelative, resolveAddress } from './page-address.ts';
import { isSingleFile, loneModel, openSingleFile } from './single-file.ts';

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
      const file = await (await folder.getFileHandle(steps.at(-1)!)).getFile();
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
  const named = files.map((file, i) => [paths[i].slice(shared).join('/'), file] as const);
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
  return import('./remote.ts').then((remote) => remote.openAddress(url, options));
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
  return (await import('./remote.ts')).openHub(named, options);
}
