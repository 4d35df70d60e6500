/**
 * The cache of references' log-probabilities for commands: in the user's cache folder, separate from results. All runs of
 * this user share it, so entries are only found if recomputing would give the same bits: on the same adapter, with the same
 * kernels and versions. The least recently used entries are removed first. Training also works without such a folder.
 */
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Gpu } from '../gpu/device.ts';
import { contentHash } from '../io/hash.ts';
import { type ReferenceCache, storedReferenceCache } from '../io/reference-cache.ts';
import { cacheFolder } from './cache-folder.ts';
import { fileCheckpointStore } from './folder.ts';
import { nodeTuning } from './tuning.ts';

/** Maximum total bytes. */
const MOST_BYTES = 2 ** 30;

/** References in the user's cache folder, or in `root`. Entries that cannot be read or written are computed again. */
export function userReferenceCache(
  gpu: Pick<Gpu, 'adapter' | 'variants'>,
  root: () => Promise<string> = () => cacheFolder('keep references in'),
  mostBytes = MOST_BYTES,
): ReferenceCache {
  const folder = async () => join(await root(), 'references');
  const cacheIn = (path: string) => storedReferenceCache((name) => fileCheckpointStore(fileOf(path, name)));
  return {
    async get(key) {
      try {
        const [path, name] = [await folder(), await nameOf(gpu, key)];
        const values = await cacheIn(path).get(name);
        if (values) await utimes(fileOf(path, name), new Date(), new Date());
        return values;
      } catch {
        return undefined;
      }
    },
    async put(key, values) {
      try {
        const path = await folder();
        await cacheIn(path).put(await nameOf(gpu, key), values);
        await makeRoom(path, mostBytes);
      } catch {
        // Errors are ignored, because it is only a cache.
      }
    },
  };
}

const fileOf = (folder: string, name: string) => join(folder, `reference-${name}.safetensors`);

/** A content hash combined with everything else that affects the bits of its values. */
function nameOf({ adapter, variants }: Pick<Gpu, 'adapter' | 'variants'>, key: string): Promise<string> {
  const { vendor, architecture, description, features } = adapter;
  const kernels = [variants.asked, [...variants.memory].sort()];
  const machine = [vendor, architecture, description, features, nodeTuning().versions];
  return contentHash(key, JSON.stringify([machine, kernels]));
}

/** Removes the least recently used entries until the rest fits. */
async function makeRoom(folder: string, mostBytes: number): Promise<void> {
  const names = await readdir(folder);
  const files = await Promise.all(
    names.map(async (name) => {
      const { size, mtimeMs } = await stat(join(folder, name));
      return { path: join(folder, name), size, used: mtimeMs };
    }),
  );
  let total = files.reduce((sum, { size }) => sum + size, 0);
  for (const { path, size } of files.sort((a, b) => a.used - b.used)) {
    if (total <= mostBytes) return;
    await rm(path, { force: true });
    total -= size;
  }
}
