/**
 * What outlives a closed tab, in this browser's IndexedDB: the record of a run, the trainer's checkpoint and the reference's
 * log-probabilities. One tab at a time owns it; a second one, or a browser that keeps nothing, works on memory alone. Every
 * write is one transaction: old or new, never half.
 */
import { createStore, delMany, get, set } from 'idb-keyval';
import {
  type CheckpointStore,
  memoryCheckpointStore,
  memoryReferenceCache,
  type ReferenceCache,
  storedReferenceCache,
} from '../../src/index.ts';
import { decodeCheckpoint } from '../../src/io/checkpoint.ts';
import type { RunState } from '../../src/train/state.ts';

/** Milliseconds to wait for another tab to give it up. */
const LOCK_PATIENCE = 1500;

export interface Kept<Run> {
  /** False where it ends with the tab. */
  durable: boolean;
  checkpoint: CheckpointStore;
  referenceCache: ReferenceCache;
  readRecord(): Promise<Run | undefined>;
  writeRecord(record: Run): Promise<void>;
  clear(): Promise<void>;
}

/** The browser's store of this name, or one in memory where it cannot be had. */
export async function openKept<Run>(database: string): Promise<Kept<Run>> {
  try {
    if (!(await isOnlyTab(database))) return inMemory();
    const store = createStore(database, 'kept');
    await get('run', store); // A browser that keeps nothing says so here.
    const bytesAt = (key: string): CheckpointStore => ({
      read: () => get<Uint8Array<ArrayBuffer>>(key, store),
      write: (bytes) => set(key, bytes, store),
    });
    return {
      durable: true,
      checkpoint: bytesAt('checkpoint'),
      referenceCache: storedReferenceCache((key) => bytesAt(`reference ${key}`)),
      readRecord: () => get<Run>('run', store),
      writeRecord: (record) => set('run', record, store),
      clear: () => delMany(['run', 'checkpoint'], store),
    };
  } catch {
    return inMemory();
  }
}

/** What the checkpoint says of its run; `undefined` without one that can be read. */
export async function readState({
  checkpoint,
}: {
  checkpoint: CheckpointStore;
}): Promise<RunState | undefined> {
  const bytes = await checkpoint.read();
  if (!bytes) return undefined;
  const { state } = await decodeCheckpoint(bytes, 'checkpoint');
  return state as unknown as RunState;
}

function inMemory<Run>(): Kept<Run> {
  let record: Run | undefined;
  const kept: Kept<Run> = {
    durable: false,
    checkpoint: memoryCheckpointStore(),
    referenceCache: memoryReferenceCache(),
    readRecord: async () => record,
    writeRecord: async (next) => {
      record = next;
    },
    clear: async () => {
      record = undefined;
      kept.checkpoint = memoryCheckpointStore();
    },
  };
  return kept;
}

/** Takes the lock that this tab then holds for as long as it lives. A page that was just reloaded frees its own late. */
function isOnlyTab(database: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(database, { signal: AbortSignal.timeout(LOCK_PATIENCE) }, () => {
        resolve(true);
        return new Promise<never>(() => {});
      })
      .catch((error: DOMException) => (error.name === 'TimeoutError' ? resolve(false) : reject(error)));
  });
}
