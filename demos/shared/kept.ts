/**
 * State that survives a closed tab, in this browser's IndexedDB: the record of a run, the trainer's checkpoint and the
 * reference's log-probabilities. One tab at a time owns it. A second tab, or a browser that stores nothing or has no more
 * space, uses memory and reports it. Every write is one transaction, so it is atomic.
 */
import { delMany, get, set, type UseStore } from 'idb-keyval';
import {
  type CheckpointStore,
  indexedDbCheckpointStore,
  memoryReferenceCache,
  type ReferenceCache,
  storedReferenceCache,
} from 'webalign/files';
import { browserStore } from './browser-store.ts';

/** The object store of the database. */
const TABLE = 'kept';
/** The stored parts of a run. */
const KEYS = ['run', 'checkpoint'];
/** Milliseconds to wait for another tab to release it. */
const LOCK_PATIENCE = 1500;

const TAKE_IT = 'Download the adapter before you close the tab.';
/** Why a run ends with its tab. */
const OTHER_TAB = `Another tab of this page uses what this browser keeps, so a run here ends with its tab. ${TAKE_IT}`;
const DENIED = `This browser keeps nothing for this page, so a run ends with its tab. ${TAKE_IT}`;
const FULL = `This browser has no more room for this page: the run goes on in memory and ends with its tab. ${TAKE_IT}`;

export interface Kept<Run> {
  /** Why a run is lost with its tab, in sentences; empty if it is not. */
  readonly unkept: string;
  checkpoint: CheckpointStore;
  referenceCache: ReferenceCache;
  readRecord(): Promise<Run | undefined>;
  writeRecord(record: Run): Promise<void>;
  /** Deletes the run. The next one is stored again, if there is space. */
  clear(): Promise<void>;
}

/** The browser's store with this name, or memory if it is not available. `onUnkept` reports the reason, if that changes later. */
export async function openKept<Run>(database: string, onUnkept?: (why: string) => void): Promise<Kept<Run>> {
  try {
    if (!(await isOnlyTab(database))) return new KeptRun<Run>(undefined, OTHER_TAB);
    const store = browserStore(database, TABLE);
    await get('run', store); // A browser that keeps nothing says so here.
    const references = storedReferenceCache((key) =>
      indexedDbCheckpointStore(`reference ${key}`, { database, table: TABLE }),
    );
    return new KeptRun<Run>(store, '', onUnkept, references);
  } catch {
    return new KeptRun<Run>(undefined, DENIED);
  }
}

class KeptRun<Run> implements Kept<Run> {
  /** Values that are newer than the browser's. */
  private readonly memory = new Map<string, unknown>();
  readonly referenceCache: ReferenceCache;

  constructor(
    private readonly store: UseStore | undefined,
    public unkept: string,
    private readonly onUnkept?: (why: string) => void,
    references?: ReferenceCache,
  ) {
    this.referenceCache = withMemory(references);
  }

  readonly checkpoint: CheckpointStore = {
    read: () => this.read<Uint8Array<ArrayBuffer>>('checkpoint'),
    write: (bytes) => this.write('checkpoint', bytes),
  };

  readRecord(): Promise<Run | undefined> {
    return this.read<Run>('run');
  }

  writeRecord(record: Run): Promise<void> {
    return this.write('run', record);
  }

  async clear(): Promise<void> {
    this.memory.clear();
    if (!this.store) return;
    try {
      await delMany(KEYS, this.store);
      this.unkept = '';
    } catch {
      // A value that cannot be removed is hidden by memory.
      for (const key of KEYS) this.memory.set(key, undefined);
      this.goOnInMemory();
    }
  }

  private async read<Value>(key: string): Promise<Value | undefined> {
    if (this.memory.has(key)) return this.memory.get(key) as Value | undefined;
    return this.store && get<Value>(key, this.store);
  }

  /** If a write fails, memory is used for the rest of the run: the browser's older checkpoint and record remain consistent. */
  private async write(key: string, value: unknown): Promise<void> {
    if (this.store && this.unkept === '') {
      try {
        return await set(key, value, this.store);
      } catch {
        this.goOnInMemory();
      }
    }
    this.memory.set(key, structuredClone(value));
  }

  private goOnInMemory(): void {
    if (this.unkept !== '') return;
    this.unkept = FULL;
    this.onUnkept?.(FULL);
  }
}

/** Values that do not fit into the cache are kept in memory; they can be recomputed, so no notice is needed. */
function withMemory(cache: ReferenceCache | undefined): ReferenceCache {
  const memory = memoryReferenceCache();
  return {
    get: async (key) => (await memory.get(key)) ?? (await cache?.get(key).catch(() => undefined)),
    put: async (key, values) => {
      const isKept = await cache?.put(key, values).then(
        () => true,
        () => false,
      );
      if (!isKept) await memory.put(key, values);
    },
  };
}

/** Takes a lock that this tab holds as long as it lives. A page that was just reloaded releases its own late. */
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
