/**
 * The one build: library, demos and tests, from their sources into `dist/`, in about a second.
 *
 *   node esbuild.config.mjs [library] [demos] [tests] [bench] [peers] [--serve] [--clean]
 *
 * Without a name the first three are built. `--serve` serves the demos to this machine only and rebuilds on change. Types are
 * not checked here (`npm run types`), and WGSL enters by `shaders/include.mjs` alone.
 */
import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as esbuild from 'esbuild';
import { wgsl } from './shaders/include.mjs';

const root = dirname(fileURLToPath(import.meta.url));

/** @typedef {import('esbuild').BuildOptions} Options */

/** @type {Options} */
const common = {
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  sourcemap: true,
  logLevel: 'warning',
  plugins: [wgsl(join(root, 'shaders'))],
};

/** The library leaves packages as imports: npm installs them beside it. @returns {Options} */
const library = () => ({
  ...common,
  outdir: 'dist',
  packages: 'external',
  entryPoints: {
    index: './src/index.ts',
    node: './src/node.ts',
    testing: './src/testing.ts',
    cli: './src/cli/main.ts',
  },
});

/**
 * A demo is a folder: a page, its script, its worker, and what they load. Everything it needs is in its bundle.
 *
 * @returns {Options}
 */
function demos() {
  const names = readdirSync(join(root, 'demos'));
  for (const folder of names.flatMap((name) => [`${name}/model`, `${name}/data`])) {
    const from = join(root, 'demos', folder);
    if (existsSync(from)) cpSync(from, join(root, 'dist/demos', folder), { recursive: true });
  }
  const files = names.flatMap((name) => [
    `${name}/index.html`,
    `${name}/judge.html`,
    `${name}/connect.html`,
    `${name}/connect.ts`,
    `${name}/connect-worker.ts`,
    `${name}/style.css`,
    `${name}/page.ts`,
    `${name}/worker.ts`,
  ]);
  return {
    ...common,
    outdir: 'dist/demos',
    minify: true,
    loader: { '.html': 'copy' },
    entryPoints: entries('demos', files),
  };
}

/** Every test file, relative to `test/`, with forward slashes. */
export const testFiles = readdirSync(join(root, 'test'), { recursive: true })
  .map((file) => String(file).split(sep).join('/'))
  .filter((file) => file.endsWith('.test.ts') && !file.includes('node_modules/'))
  .sort();

/** Those that need Node: its files and processes, or a page driven from outside. The others run in Chromium too. */
export const nodeOnly = /\.(node|browser)\.test\.ts$/;

/** @param {string[]} files @returns {Options} */
const nodeTests = (files) => ({
  ...common,
  outdir: 'dist/test/node',
  packages: 'external',
  entryPoints: entries('test', [...files, 'run/suite.ts']),
});

/**
 * Code for Node may be imported behind a condition and is then never loaded.
 *
 * @param {string[]} files
 * @returns {Options}
 */
const chromiumTests = (files) => ({
  ...common,
  outdir: 'dist/test/chromium',
  external: ['node:*', 'webgpu', 'tar-fs', 'playwright'],
  entryPoints: entries('test', [...files.filter((file) => !nodeOnly.test(file)), 'run/page.ts']),
});

/** What webalign is measured against, by the file of `test/bench/peers` that speaks for it. */
export const benchPeers = ['jax', 'tfjs'];

/** @returns {Options[]} */
const bench = () => [
  {
    ...common,
    outdir: 'dist/bench/node',
    packages: 'external',
    entryPoints: entries('test/bench', ['command.ts']),
  },
  { ...common, outdir: 'dist/bench/chromium', entryPoints: entries('test/bench', ['browser.ts']) },
];

/**
 * The peers with their libraries, for Node and Chromium alike; they are there only once `npm run bench` has installed them.
 *
 * @returns {Options}
 */
const peers = () => ({
  ...common,
  outdir: 'dist/bench/peers',
  // One file each, so that loading it again makes a second of everything in it.
  splitting: false,
  // What they ask for in Node alone is asked for when it is needed.
  mainFields: ['module', 'main'],
  external: ['util', 'crypto', 'node-fetch'],
  entryPoints: entries(
    'test/bench/peers',
    benchPeers.map((name) => `${name}.ts`),
  ),
});

/** Entry points for the files that exist, written under the same names. @param {string} folder @param {string[]} files */
function entries(folder, files) {
  return files
    .filter((file) => existsSync(join(root, folder, file)))
    .map((file) => ({ in: `./${folder}/${file}`, out: file.replace(/\.\w+$/, '') }));
}

/**
 * Builds the named targets; throws when one does not build.
 *
 * @param {string[]} names of `library`, `demos`, `tests`, `bench`, `peers`
 * @param {string[]} tests which test files
 */
export async function build(names = ['library', 'demos', 'tests'], tests = testFiles) {
  const options = {
    library: () => [library()],
    demos: () => [demos()],
    tests: () => [nodeTests(tests), chromiumTests(tests)],
    bench,
    peers: () => [peers()],
  };
  const chosen = Object.entries(options).filter(([name]) => names.includes(name));
  await Promise.all(chosen.flatMap(([, make]) => make()).map((each) => esbuild.build(each)));
}

/** Serves `dist/demos` on the first free port from 8080, to this machine only, and rebuilds when a source changes. */
async function serve() {
  const context = await esbuild.context(demos());
  await context.watch();
  let port = 8080;
  while (!(await isFree(port))) port++;
  await context.serve({ host: '127.0.0.1', port, servedir: join(root, 'dist/demos') });
  for (const name of readdirSync(join(root, 'demos')).filter(hasPage)) {
    console.log(`http://127.0.0.1:${port}/${name}/`);
  }
}

/** Whether a folder of `demos/` is a demo and not what demos share. @param {string} name */
const hasPage = (name) => existsSync(join(root, 'demos', name, 'index.html'));

/** @param {number} port @returns {Promise<boolean>} */
function isFree(port) {
  return new Promise((done) => {
    const probe = createServer().once('error', () => done(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => done(true)));
  });
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const flags = /** @type {const} */ ({ serve: { type: 'boolean' }, clean: { type: 'boolean' } });
  const { values, positionals } = parseArgs({ options: flags, allowPositionals: true });
  if (values.clean) rmSync(join(root, 'dist'), { recursive: true, force: true });
  if (values.serve) await serve();
  else await build(positionals.length > 0 ? positionals : undefined).catch(() => process.exit(1));
}
