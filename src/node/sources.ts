/**
 * Model sources in Node: a folder or a file on disk in addition to those of a page, and Hugging Face's own cache for the
 * hub. Existing files on disk take precedence; for other names, a notice says how the name is interpreted.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InputError, quote } from '../io/errors.ts';
import type { Files } from '../io/files.ts';
import { repositoryNamed } from '../io/hub/repository.ts';
import { isSingleFile, loneModel, openSingleFile } from '../io/single-file.ts';
import { type Opener, openSource as openAnySource, type Source, type SourceOptions } from '../io/sources.ts';
import { folderFiles } from './folder.ts';
import { addressCacheFolder, httpEnvironment } from './http-environment.ts';
import { nodeHubCache } from './hub-cache.ts';
import { hubEnvironment } from './hub-environment.ts';

/**
 * Opens a model's files: a folder or a file on disk, or any {@link Source}. By default, cache, hub and token are those of
 * Hugging Face's own tools; files from other URLs have a separate cache.
 */
export async function openSource(source: Source, options: SourceOptions = {}): Promise<Files> {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const caches = { cache: nodeHubCache(), addressCache: nodeHubCache(addressCacheFolder()) };
  const environment = { ...(await hubEnvironment()), ...httpEnvironment() };
  return openAnySource(source, { ...caches, ...environment, ...given }, [openDisk]);
}

const openDisk: Opener = async (source, { onNotice, endpoint = 'the hub' }) => {
  const path = pathOf(source);
  if (path === undefined) return undefined;
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) {
    const folder = folderFiles(path);
    const model = loneModel(folder.name, await readdir(path).catch(() => []));
    return model === undefined ? folder : openSingleFile(folder, model);
  }
  if (found) {
    if (isSingleFile(path)) return openSingleFile(folderFiles(dirname(path)), basename(path));
    throw new InputError(
      path,
      'is a file that does not contain a whole model',
      'Name the folder of the model',
    );
  }
  const repository = source instanceof URL ? undefined : repositoryNamed(path);
  if (!repository) {
    const what = 'there is no such folder, and this is not a valid name of a Hub repository';
    throw new InputError(path, what, 'Give the path of a folder, owner/name, or https://…');
  }
  onNotice?.(
    `There is no folder ${quote(path)} here: treating it as the repository ${repository.id} of ${endpoint}`,
  );
  return undefined;
};

/** The source as a path on disk, if it can be one. */
function pathOf(source: Source): string | undefined {
  if (source instanceof URL) return source.protocol === 'file:' ? fileURLToPath(source) : undefined;
  if (typeof source !== 'string' || /^(https?|hf):\/\//i.test(source)) return undefined;
  return source.startsWith('file:') ? fileURLToPath(source) : source;
}
