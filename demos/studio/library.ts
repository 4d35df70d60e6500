/**
 * The models that this browser keeps for the studio: their files in its private file system, a folder each, and a list of them in
 * IndexedDB. The page and the worker both use it; neither fetches anything here.
 */
import { del, get, set, values } from 'idb-keyval';
import { type Files, InputError, openSource, opfsHubCache, repositoryNamed } from 'webalign/files';
import { formatBytes } from 'webalign/gpu';
import type { LoadDtype } from 'webalign/models';
import { browserStore } from '../shared/browser-store.ts';

/** A model that is kept. */
export interface KeptModel {
  id: string;
  name: string;
  /** In which precision its matrices are loaded. */
  dtype: LoadDtype;
  /** Of its files; unknown for a repository of the hub, which has a cache of its own. */
  bytes: number;
  /** Where it came from the hub: `owner/name@commit`, or a file of it. Its files lie in the hub's cache then. */
  hub?: string;
  /** Milliseconds since 1970. */
  addedAt: number;
}

const FOLDER = 'webalign-studio-models';
/** In the list of models; no model has this id. */
const CURRENT = 'current';
const list = browserStore('webalign-studio-models', 'models');

/** A file as it comes, from a disk or a server. */
export type FileToKeep = Pick<File, 'name' | 'size' | 'stream'>;

/** What a person calls the model in these files: the one file's name, or that of their folder. */
export function nameOfFiles(files: readonly File[]): string {
  const [only] = files;
  const folder = only?.webkitRelativePath.split('/')[0];
  return files.length === 1 && only ? only.name : folder || 'a model of files';
}

/** The models, the latest first. */
export async function keptModels(): Promise<KeptModel[]> {
  const all = await values<KeptModel | string>(list);
  const models = all.filter((value) => typeof value !== 'string');
  return models.toSorted((a, b) => b.addedAt - a.addedAt);
}

/** The model that the page opens with; undefined for the embedded one. */
export async function currentModel(): Promise<KeptModel | undefined> {
  const id = await get<string>(CURRENT, list);
  return id === undefined ? undefined : get<KeptModel>(id, list);
}

/** Which model the page opens with from now on; undefined for the embedded one. */
export async function chooseModel(id: string | undefined): Promise<void> {
  await (id === undefined ? del(CURRENT, list) : set(CURRENT, id, list));
}

/** Copies the files of a model into this browser. Throws `InputError` where there is no room; nothing is left then. */
export async function keepModel(
  files: readonly FileToKeep[],
  about: Pick<KeptModel, 'name' | 'dtype'>,
  onProgress: (done: number, total: number) => void,
): Promise<KeptModel> {
  const id = crypto.randomUUID();
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  await refuseWithoutRoom(about.name, bytes);
  const folder = await (await models()).getDirectoryHandle(id, { create: true });
  let done = 0;
  try {
    for (const file of files) {
      const place = await folder.getFileHandle(file.name, { create: true });
      const counting = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
        transform(chunk, controller) {
          done += chunk.length;
          onProgress(done, bytes);
          controller.enqueue(chunk);
        },
      });
      await file
        .stream()
        .pipeThrough(counting)
        .pipeTo(await place.createWritable());
    }
  } catch (cause) {
    await (await models()).removeEntry(id, { recursive: true });
    const what = 'could not be copied into this browser';
    throw new InputError(about.name, what, 'Make room on the disk or delete another model', { cause });
  }
  const model: KeptModel = { ...about, id, bytes, addedAt: Date.now() };
  await set(id, model, list);
  return model;
}

/** Notes a model of the hub whose files are in the hub's cache. */
export async function keepHubModel(
  about: Pick<KeptModel, 'name' | 'dtype'> & { hub: string },
): Promise<KeptModel> {
  const model: KeptModel = { ...about, id: crypto.randomUUID(), bytes: 0, addedAt: Date.now() };
  await set(model.id, model, list);
  return model;
}

/** Deletes a model's files. */
export async function deleteModel(id: string): Promise<void> {
  if ((await get<string>(CURRENT, list)) === id) await chooseModel(undefined);
  const model = await get<KeptModel>(id, list);
  const repository = model?.hub && repositoryNamed(model.hub);
  if (repository) await (await opfsHubCache())?.remove(repository.id);
  await del(id, list);
  await (await models()).removeEntry(id, { recursive: true }).catch(() => undefined);
}

/** The files of a kept model, under its name. Throws `InputError` where the browser has removed them. */
export async function modelFiles({ id, name, hub }: KeptModel): Promise<Files> {
  // Offline: whatever the cache lacks is missing, and nothing is asked for.
  if (hub !== undefined) return { ...(await openSource(hub, { offline: true })), name };
  const files: File[] = [];
  try {
    const folder = await (await models()).getDirectoryHandle(id);
    for await (const handle of folder.values()) {
      if (handle.kind === 'file') files.push(await (handle as FileSystemFileHandle).getFile());
    }
  } catch (cause) {
    throw new InputError(name, 'is no longer in this browser', 'Add it again on the tab Model', { cause });
  }
  return { ...(await openSource(files)), name };
}

async function models(): Promise<FileSystemDirectoryHandle> {
  try {
    const root = await navigator.storage.getDirectory();
    return await root.getDirectoryHandle(FOLDER, { create: true });
  } catch (cause) {
    const wayOut = 'Allow storage for this site, or use the embedded storyteller';
    throw new InputError('this browser', 'stores no files for this page, so it cannot keep a model', wayOut, {
      cause,
    });
  }
}

/** Throws `InputError` where the page may not keep so many bytes more. */
export async function refuseWithoutRoom(name: string, bytes: number): Promise<void> {
  const { quota = 0, usage = 0 } = await navigator.storage.estimate();
  if (bytes <= quota - usage) return;
  const what = `takes ${formatBytes(bytes)}, and this browser has ${formatBytes(Math.max(0, quota - usage))} left for the page`;
  throw new InputError(name, what, 'Delete another model, or make room on the disk');
}
