/**
 * `npm run fuzz`: throws changed files at every reader and says which of them a reader did not refuse as it should. Optional,
 * and no part of the tests; what it found stands in `test/fuzz/corpus`, which they read.
 *
 *   npm run fuzz -- [--minutes 60] [--only PART OF A TARGET'S NAME] [--seed N]
 *
 * The time is shared out among the targets. Findings go to `dist/fuzz/findings`; the exit code is 1 when there are any.
 */
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import * as esbuild from 'esbuild';
import { wgsl } from '../../shaders/include.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    only: { type: 'string' },
    seed: { type: 'string', default: '1' },
  },
});
/** Each a bundle of its own, with all that it imports: the counters see one script. */
await esbuild.build({
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'es2022',
  outdir: 'dist/fuzz',
  external: ['webgpu', 'playwright', 'tar-fs', '@sparticuz/chromium'],
  entryPoints: { fuzz: 'test/fuzz/fuzz.ts', worker: 'test/fuzz/worker.ts', readers: 'test/fuzz/judge.ts' },
  plugins: [wgsl(`${root}/shaders`)],
});
const bundle = (/** @type {string} */ name) => pathToFileURL(`${root}/dist/fuzz/${name}.js`).href;
/** @type {typeof import('./fuzz.ts')} */
const { fuzz } = await import(bundle('fuzz'));
const sound = await fuzz({
  minutes: Number(values.minutes),
  only: values.only,
  seed: Number(values.seed),
  worker: bundle('worker'),
  readers: bundle('readers'),
  out: `${root}/dist/fuzz/findings`,
});
process.exit(sound ? 0 : 1);
