/**
 * Caches results by content hash: the reference's log-probabilities. A cache may lose entries but must never return a wrong
 * one; missing or damaged entries are computed again.
 */
import { type CheckpointStore, decodeCheckpoint, encodeCheckpoint } from './checkpoint.ts';
import { InputError } from './errors.ts';

export interface ReferenceCache {
  /** The values stored under `key` (a content hash); undefined if there are none. */
  get(key: string): Promise<Float32Array | undefined>;
  put(key: string, values: Float32Array): Promise<void>;
}

/** An in-memory cache. */
export function memoryReferenceCache(): ReferenceCache {
  const kept = new Map<string, Float32Array>();
  return {
    get: async (key) => kept.get(key)?.slice(),
    put: async (key, values) => {
      kept.set(key, values.slice());
    },
  };
}

/** A cache with one store per key. */
export function storedReferenceCache(storeOf: (key: string) => CheckpointStore): ReferenceCache {
  return {
    async get(key) {
      const bytes = await storeOf(key).read();
      if (!bytes) return undefined;
      try {
        const { configHash, tensors } = await decodeCheckpoint(bytes, `cached reference ${key}`);
        return configHash === key ? tensors.get('values') : undefined;
      } catch (error) {
        if (error instanceof InputError) return undefined; // damaged: treated as missing
        throw error;
      }
    },
    async put(key, values) {
      await storeOf(key).write(
        await encodeCheckpoint({ configHash: key, state: null, tensors: new Map([['values', values]]) }),
      );
    },
  };
}
