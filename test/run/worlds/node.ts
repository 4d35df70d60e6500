/** Dawn in this process. */

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import MochaClass from 'mocha';
import { runFiles, stray } from '../harness.ts';
import type { World } from './world.ts';

export const node: World = {
  isNode: true,
  isWhole: true,
  async run(files, report, options) {
    // Mocha catches stray exceptions by itself; rejections it only repeats, to the same listeners.
    const seen = new Set<unknown>();
    process.on('unhandledRejection', (error, promise) => {
      if (!seen.has(promise)) report.add(stray(error));
      seen.add(promise);
    });
    await runFiles(MochaClass, files, loadBuilt, report.add, options);
  },
};

/** Imports a test file that was built for Node. */
export const loadBuilt = (file: string) =>
  import(pathToFileURL(resolve('dist/test/node', file.replace(/\.ts$/, '.js'))).href);
