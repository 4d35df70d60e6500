/**
 * What outlives a closed tab, in this browser's IndexedDB: the run's settings and measurements, the trainer's checkpoint
 * and the reference's log-probabilities. One tab at a time owns it; a second one, or a browser that keeps nothing, works
 * on memory alone. Every write is one transaction: old or new, never half.
 */
import { createStore, delMany, get, set } from 'idb-keyval';
import { type CheckpointStore, decodeCheckpoint, memoryCheckpointStore } from '../../src/io/checkpoint.ts';
import {
  memoryReferenceCache,
  type ReferenceCache,
  storedReferenceCache,
} from '../../src/io/reference-cache.ts';
import type { RunState } from '../../src/train/state.ts';
import type { Measurement, Settings } from './messages.ts';

const DATABASE = 'webalign-align';
/** Milliseconds to wait for another tab to give it up. */
const LOCK_PATIENCE = 1500;

export interface RunRecord {
  settings: Settings;
  /** Milliseconds since 1970. */
  startedAt: number;
  totalSteps: number;
  /** Ended by hand: no step is to follow. */
  stopped: boolean;
  before?: Measurement;
  after?: Measurement;
}

export interface Kept {
  /** False where it ends with the tab. */
  durable: boolean;
  checkpoint: CheckpointStore;
  referenceCache: ReferenceCache;
  readRecord(): Promise<RunRecord | undefined>;
  writeRecord(record: RunRecord): Promise<void>;
  clear(): Promise<void>;
}

/** The browser's store, or one in memory where it cannot be had. */
export async function openKept(): Promise<Kept> {
  try {
    if (!(await isOnlyTab())) return inMemory();
    const store = createStore(DATABASE, 'kept');
    await get('run', store); // A browser that keeps nothing says so here.
    const bytesAt = (key: string): CheckpointStore => ({
      read: () => get<Uint8Array<ArrayBuffer>>(key, store),
      write: (bytes) => set(key, bytes, store),
    });
    return {
      durable: true,
      checkpoint: bytesAt('checkpoint'),
      referenceCache: storedReferenceCache((key) => bytesAt(`reference ${key}`)),
      readRecord: () => get<RunRecord>('run', store),
      writeRecord: (record) => set('run', record, store),
      clear: () => delMany(['run', 'checkpoint'], store),
    };
  } catch {
    return inMemory();
  }
}

/** What the checkpoint says of its run; `undefined` without one that can be read. */
export async function readState({ checkpoint }: Kept): Promise<RunState | undefined> {
  const bytes = await checkpoint.read();
  if (!bytes) return undefined;
  const { state } = await decodeCheckpoint(bytes, 'checkpoint');
  return state as unknown as RunState;
}

function inMemory(): Kept {
  let record: RunRecord | undefined;
  const kept: Kept = {
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
function isOnlyTab(): Promise<boolean> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(DATABASE, { signal: AbortSignal.timeout(LOCK_PATIENCE) }, () => {
        resolve(true);
        return new Promise<never>(() => {});
      })
      .catch((error: DOMException) => (error.name === 'TimeoutError' ? resolve(false) : reject(error)));
  });
}
