/**
 * `npm run fuzz`: reads mutated files with every reader and reports crashes, hangs and excessive work. Optional, and not
 * part of the tests; earlier findings are in `test/fuzz/corpus`, which the tests read.
 *
 *   npm run fuzz -- [--minutes 60] [--only PART OF A TARGET'S NAME] [--seed N] [--keep]
 *
 * The time is divided among the targets. Findings go to `dist/fuzz/findings`; the exit code is 1 if there are any. `--keep`
 * writes the figures to `test/fuzz/figures.json` and into the table of `test/fuzz/README.md`.
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
    keep: { type: 'boolean', default: false },
  },
});
/** Each is a bundle with all of its imports: the counters see one script. */
await esbuild.build({
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'es2022',
  outdir: 'dist/fuzz',
  external: ['webgpu', 'playwright', 'tar-fs', '@sparticuz/chromium'],
  entryPoints: {
    fuzz: 'test/fuzz/fuzz.ts',
    figures: 'test/fuzz/figures.ts',
    keep: 'test/support/figures.ts',
    worker: 'test/fuzz/worker.ts',
    readers: 'test/fuzz/judge.ts',
  },
  plugins: [wgsl(`${root}/shaders`)],
});
const bundle = (/** @type {string} */ name) => pathToFileURL(`${root}/dist/fuzz/${name}.js`).href;
/** @type {typeof import('./fuzz.ts')} */
const { fuzz } = await import(bundle('fuzz'));
/** @type {typeof import('./figures.ts')} */
const { roomLines, table, totals } = await import(bundle('figures'));
/** @type {typeof import('../support/figures.ts')} */
const { writeFigures } = await import(bundle('keep'));
const result = await fuzz({
  minutes: Number(values.minutes),
  only: values.only,
  seed: Number(values.seed),
  worker: bundle('worker'),
  readers: bundle('readers'),
  out: `${root}/dist/fuzz/findings`,
});
for (const line of roomLines(result)) console.log(line);
const { inputs, findings } = totals(result);
console.log(`${inputs} inputs, ${findings} findings`);
if (values.keep) {
  const here = `${root}/test/fuzz`;
  await writeFigures({ json: `${here}/figures.json`, page: `${here}/README.md` }, result, table(result));
}
process.exit(findings === 0 ? 0 : 1);
