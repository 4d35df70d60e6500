/**
 * Checkpoint stores that survive a page: in IndexedDB, in a page or a worker, and in the browser's private file system.
 * Each write is atomic. There are no locks: if two tabs train into one store, the last write wins.
 */
import { createStore, del, get, set, type UseStore } from 'idb-keyval';
import type { CheckpointStore } from './checkpoint.ts';
import { InputError, reason } from './errors.ts';
import { missing, privateFiles, writeWhole } from './opfs.ts';

/** A store of a page that can be cleared. */
export interface PageCheckpointStore extends CheckpointStore {
  /** Deletes the checkpoint, if there is one. */
  remove(): Promise<void>;
}

export interface IndexedDbOptions {
  /** The database, `webalign` by default. */
  database?: string;
  /** The database's one object store, `checkpoints` by default. */
  table?: string;
}

/** One connection per database, because a database with two connections cannot be deleted through either. */
const connections = new Map<string, UseStore>();

/**
 * A checkpoint in IndexedDB under `key`. A write is one transaction, so it is atomic. Rejects with an {@link InputError} if
 * the browser stores nothing for this page or has no more space.
 *
 * For the reference's log-probabilities: `storedReferenceCache((key) => indexedDbCheckpointStore(key, { table:
 * 'references', … }))` with a separate database, because a database has one table.
 */
export function indexedDbCheckpointStore(
  key: string,
  { database = 'webalign', table = 'checkpoints' }: IndexedDbOptions = {},
): PageCheckpointStore {
  const where = `${key} in IndexedDB`;
  const store = () => {
    const name = JSON.stringify([database, table]);
    const known = connections.get(name) ?? createStore(database, table);
    connections.set(name, known);
    return known;
  };
  const refused = (what: string) => (cause: unknown) => {
    throw new InputError(where, `cannot be ${what}: ${reason(cause)}`, STORAGE, { cause });
  };
  return {
    async read() {
      const found = await tried(() => get<unknown>(key, store())).catch(refused('read'));
      if (found === undefined || found instanceof Uint8Array) return found as Kept;
      throw new InputError(where, 'was not written by a checkpoint store', 'Use another key');
    },
    // A view would be stored together with its whole buffer.
    write: (bytes) => tried(() => set(key, bytes.slice(), store())).catch(refused('written')),
    remove: () => tried(() => del(key, store())).catch(refused('removed')),
  };
}

/**
 * A checkpoint in a file of the browser's private file system (OPFS), for example `runs/mine.safetensors`, if it is too
 * large for IndexedDB's copies. The browser replaces a file when it is complete. Reads and writes of one path wait for each
 * other, across the tabs and workers of an origin: while Chromium replaces a file, it reports that the file does not exist.
 * Rejects with an {@link InputError} if there is no such file system, or no more space.
 */
export function opfsCheckpointStore(path: string): PageCheckpointStore {
  const where = `${path} in the browser's private file system`;
  const steps = path.split('/');
  const name = steps.pop()!;
  if ([...steps, name].some((step) => step === '' || step === '.' || step === '..'))
    throw new InputError(path, 'is not a path of plain names', 'Write it as folder/name');
  const folder = async (create: boolean) => {
    let found = await privateFiles();
    if (!found) throw new Error('this browser does not provide it to this page');
    for (const step of steps) found = await found.getDirectoryHandle(step, { create });
    return found;
  };
  const refused = (what: string) => (cause: unknown) => {
    throw new InputError(where, `cannot be ${what}: ${reason(cause)}`, STORAGE, { cause });
  };
  const found = async (): Promise<Kept> => {
    const handle = await folder(false).then((at) => at.getFileHandle(name));
    return new Uint8Array(await (await handle.getFile()).arrayBuffer());
  };
  // A browser without locks has no private files either, and `work` reports that.
  const inTurn = async <T>(mode: LockMode, work: () => Promise<T>): Promise<T> =>
    globalThis.navigator?.locks?.request(`webalign checkpoint ${path}`, { mode }, work) ?? work();
  return {
    read: () => inTurn('shared', () => found().catch(missing)).catch(refused('read')),
    async write(bytes) {
      await inTurn('exclusive', async () => writeWhole(await folder(true), name, [bytes])).catch(
        refused('written'),
      );
    },
    async remove() {
      await inTurn('exclusive', async () => (await folder(false)).removeEntry(name))
        .catch(missing)
        .catch(refused('removed'));
    },
  };
}

type Kept = Uint8Array<ArrayBuffer> | undefined;

const STORAGE = 'Allow this page to store data and free some space, or store checkpoints elsewhere';

/** Converts a synchronous exception, as in browsers without storage, to a rejection. */
async function tried<T>(work: () => Promise<T>): Promise<T> {
  return work();
}
