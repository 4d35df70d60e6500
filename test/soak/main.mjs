/**
 * `npm run soak`: kills runs at random moments, lets two processes compete for one folder, fills disks, and loads, trains,
 * generates and disposes for hours. A slice of it runs with the tests.
 *
 *   npm run soak -- [--minutes 60] [--only kills,folders,cycles,disks] [--seed N] [--keep] [--slice] [--json]
 *
 * `--keep` writes the figures to `test/soak/figures.json` and into the table of `test/soak/README.md`. The exit code is 1
 * if a try failed.
 */
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import * as esbuild from 'esbuild';
import { build } from '../../esbuild.config.mjs';
import { wgsl } from '../../shaders/include.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    only: { type: 'string' },
    seed: { type: 'string', default: '1' },
    keep: { type: 'boolean', default: false },
    slice: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
// The tests have built it already.
if (!values.slice) await build(['library']);
await esbuild.build({
  absWorkingDir: root,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'es2022',
  packages: 'external',
  outdir: 'dist/soak',
  entryPoints: { soak: 'test/soak/soak.ts', cycle: 'test/soak/cycle.ts' },
  plugins: [wgsl(`${root}/shaders`)],
});
const bundle = (/** @type {string} */ name) => `${root}/dist/soak/${name}.js`;
/** @type {typeof import('./soak.ts')} */
const { soak, table } = await import(pathToFileURL(bundle('soak')).href);
const result = await soak({
  seed: Number(values.seed),
  minutes: Number(values.minutes),
  slice: values.slice,
  only: values.only?.split(','),
  bundle,
  keep: values.keep
    ? { json: `${root}/test/soak/figures.json`, page: `${root}/test/soak/README.md` }
    : undefined,
  log: (line) => console.error(line),
});
console.log(values.json ? JSON.stringify(result) : table(result));
process.exit(Object.values(result.parts).some(({ failures }) => failures.length > 0) ? 1 : 0);
