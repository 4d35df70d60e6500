/**
 * Where Node keeps what measurements of kernels have shown: a file in the user's cache folder, found when it is first asked
 * for, so that a machine without such a folder trains all the same.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Tuning } from '../gpu/tuner.ts';
import { cacheFolder } from './cache-folder.ts';
import { fileCheckpointStore } from './folder.ts';

const FILE = 'kernels.json';

const require = createRequire(import.meta.url);

/** Measurements of this machine, for these versions of Dawn and of this package. */
export function nodeTuning(): Tuning {
  const file = async () => fileCheckpointStore(join(await cacheFolder('keep measurements in'), FILE));
  const versions = ['webgpu', 'webalign'].map(
    (name) => `${name} ${(require(`${name}/package.json`) as { version: string }).version}`,
  );
  return {
    store: { read: async () => (await file()).read(), write: async (bytes) => (await file()).write(bytes) },
    versions: versions.join(', '),
  };
}
