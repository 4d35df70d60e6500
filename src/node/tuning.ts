/**
 * Node's storage of kernel measurements: a file in the user's cache folder, located on first use, so that training also
 * works on a machine without such a folder.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Tuning } from '../gpu/tuner.ts';
import { cacheFolder } from './cache-folder.ts';
import { fileCheckpointStore } from './folder.ts';
import { Lock } from './lock.ts';
import { isInstalled } from './packages.ts';

const FILE = 'kernels.json';
/** Another process stores its measurements within milliseconds. */
const PATIENCE_MS = 2000;

const require = createRequire(import.meta.url);

/** Measurements of this machine, for these versions of Dawn and of this package. */
export function nodeTuning(): Tuning {
  const path = async () => join(await cacheFolder('keep measurements in'), FILE);
  // A device may be the caller's own, with any version of Dawn.
  const versions = ['webgpu', 'webalign']
    .filter(isInstalled)
    .map((name) => `${name} ${(require(`${name}/package.json`) as { version: string }).version}`);
  return {
    store: {
      read: async () => fileCheckpointStore(await path()).read(),
      write: async (bytes) => fileCheckpointStore(await path()).write(bytes),
      alone: async (work) => {
        const lock = await path()
          .then((file) => Lock.await(`${file}.lock`, PATIENCE_MS))
          .catch(() => undefined);
        // Without a lock, another process's measurement may be lost, and is then repeated.
        return work().finally(() => (lock instanceof Lock ? lock.release() : undefined));
      },
    },
    versions: versions.join(', '),
  };
}
