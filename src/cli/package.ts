/**
 * The location of this package on disk and its contents: version, embedded model and preference pairs.
 * Found by the package's own name, wherever the bundler has put this file.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);
const root = dirname(require.resolve('webalign/package.json'));

export const packageVersion = (require('webalign/package.json') as { version: string }).version;

export const EMBEDDED = {
  model: join(root, 'demos/align/model'),
  /** Its files are float16, which a software adapter reads more slowly; as float32 it takes 3 MiB. */
  dtype: 'float32',
  train: join(root, 'demos/align/data/train.jsonl'),
  evaluation: join(root, 'demos/align/data/eval.jsonl'),
} as const;

/** A file of a package that this one depends on. */
export function fileOfDependency(path: string): string {
  return require.resolve(path);
}
