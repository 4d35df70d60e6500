/**
 * Results that are computed once and kept by content hash: the reference's log-probabilities. A cache may lose
 * anything and must never give something else: what is missing or damaged is computed again.
 */
import { type CheckpointStore, decodeCheckpoint, encodeCheckpoint } from './checkpoint.ts';
import { InputError } from './errors.ts';

export interface ReferenceCache {
  /** The values kept under `key` (a content hash), `undefined` where there are none. */
  get(key: string): Promise<Float32Array | undefined>;
  put(key: string, values: Float32Array): Promise<void>;
}

/** A cache that lives as long as the program. */
export function memoryReferenceCache(): ReferenceCache {
  const kept = new Map<string, Float32Array>();
  return {
    get: async (key) => kept.get(key)?.slice(),
    put: async (key, values) => {
      kept.set(key, values.slice());
    },
  };
}

/** A cache over one store for each key. */
export function storedReferenceCache(storeOf: (key: string) => CheckpointStore): ReferenceCache {
  return {
    async get(key) {
      const bytes = await storeOf(key).read();
      if (!bytes) return undefined;
      try {
        const { configHash, tensors } = await decodeCheckpoint(bytes, `cached reference ${key}`);
        return configHash === key ? tensors.get('values') : undefined;
      } catch (error) {
        if (error instanceof InputError) return undefined; // damaged: as if it were not there
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
