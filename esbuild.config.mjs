/**
 * The one build: library, demos and tests, from their sources into `dist/`, in about a second.
 *
 *   node esbuild.config.mjs [library] [demos] [site] [tests] [bench] [peers] [--serve] [--clean]
 *
 * Without a name library, demos and tests are built. `site` is the demos as static files for any host. `--serve` serves the demos to this machine only and rebuilds on change. Types are
 * not checked here (`npm run types`), and WGSL enters by `shaders/include.mjs` alone.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as esbuild from 'esbuild';
import { demosIn, frontPage } from './demos/front/front.mjs';
import { includes, texts } from './demos/include.mjs';
import { writeIdleServiceWorker, writeServiceWorker } from './demos/studio/offline.mjs';
import { asModules } from './esbuild.modules.mjs';
import { wgsl } from './shaders/include.mjs';

const root = dirname(fileURLToPath(import.meta.url));
const SITE = 'dist/site';

/** @typedef {import('esbuild').BuildOptions} Options */

const common = /** @satisfies {Options} */ ({
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  sourcemap: true,
  logLevel: 'warning',
  plugins: [wgsl(join(root, 'shaders'))],
});

/** The entries that `package.json` exports, by their names in `dist/`: each is a file of `src/`. @type {Record<string, string>} */
const packageEntries = Object.fromEntries(
  Object.entries(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).exports)
    .filter(([, target]) => typeof target === 'object')
    .map(([path]) => (path === '.' ? 'index' : path.slice(2)))
    .map((name) => [name, `./src/${name}.ts`]),
);

/**
 * The library leaves packages as imports: npm installs them beside it. It has no source maps, because its code is not minified
 * and they would be most of the package.
 */
const installed = {
  ...common,
  outdir: 'dist',
  packages: /** @type {const} */ ('external'),
  sourcemap: false,
  // Each lives once in the package, and travels with every page.
  plugins: [wgsl(join(root, 'shaders'), { strip: true })],
};

/** What is imported, a file for each source file. */
const library = () =>
  asModules({
    ...installed,
    entryPoints: packageEntries,
  });

/** The command line, in few files, which start faster. @returns {Options} */
const commandLine = () => ({ ...installed, entryPoints: { cli: './src/main.ts' } });

/**
 * A demo is a folder: a page, its script, its worker, and what they load. Everything it needs is in its bundle. A front page
 * lists them.
 *
 * @param {string} outdir
 * @param {boolean} keeps whether the studio serves itself without a network
 * @returns {Options}
 */
function demos(outdir = 'dist/demos', keeps = true) {
  mkdirSync(join(root, outdir), { recursive: true });
  writeFileSync(join(root, outdir, 'index.html'), frontPage(demosIn(root)));
  const names = readdirSync(join(root, 'demos'));
  for (const folder of names.flatMap((name) => [`${name}/model`, `${name}/data`])) {
    const from = join(root, 'demos', folder);
    if (existsSync(from)) cpSync(from, join(root, outdir, folder), { recursive: true });
  }
  const files = names.flatMap((name) => [
    `${name}/manifest.webmanifest`,
    `${name}/icon.svg`,
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
    outdir,
    minify: true,
    loader: { '.html': 'copy', '.webmanifest': 'copy', '.svg': 'copy' },
    metafile: true,
    plugins: [...common.plugins, includes, texts, offline(outdir, keeps)],
    entryPoints: entries('demos', files),
  };
}

/**
 * The studio keeps its files in the browser, by a list that is known once they are built; none while they are rebuilt.
 *
 * @param {string} outdir @param {boolean} keeps @returns {esbuild.Plugin}
 */
const offline = (outdir, keeps) => ({
  name: 'offline',
  setup({ onEnd }) {
    onEnd(async ({ errors, metafile }) => {
      if (!keeps) await writeIdleServiceWorker(root, outdir);
      else if (errors.length === 0 && metafile) await writeServiceWorker(root, outdir, metafile);
    });
  },
});

/** The demos for a host: without what an earlier build left, and without source maps, which would be most of it. */
function site() {
  rmSync(join(root, SITE), { recursive: true, force: true });
  return { ...demos(SITE), sourcemap: false };
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
  entryPoints: entries('test', [...files, 'run/suite.ts', 'run/worlds/child-main.ts']),
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
  entryPoints: entries('test', [
    ...files.filter((file) => !nodeOnly.test(file)),
    'run/worlds/chromium-page.ts',
    'run/worlds/firefox-page.ts',
  ]),
});

/** What webalign is measured against, by the file of `test/bench/peers` that speaks for it; the last one runs in pages alone. */
export const benchPeers = { node: ['jax', 'tfjs'], chromium: ['jax', 'tfjs', 'ort'] };

/** @returns {Options[]} */
const bench = () => [
  {
    ...common,
    outdir: 'dist/bench/node',
    packages: 'external',
    entryPoints: entries('test/bench', ['command.ts']),
  },
  {
    ...common,
    outdir: 'dist/bench/chromium',
    entryPoints: entries('test/bench', ['browser.ts', 'data-worker.ts']),
  },
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
  // WebAssembly is fetched by its URL.
  loader: { '.wasm': 'file' },
  assetNames: '[name]',
  entryPoints: entries(
    'test/bench/peers',
    benchPeers.chromium.map((name) => `${name}.ts`),
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
 * @param {string[]} names of `library`, `demos`, `site`, `tests`, `bench`, `peers`
 * @param {string[]} tests which test files
 */
export async function build(names = ['library', 'demos', 'tests'], tests = testFiles) {
  const options = {
    library: () => [library(), commandLine()],
    demos: () => [demos()],
    site: () => [site()],
    tests: () => [nodeTests(tests), chromiumTests(tests)],
    bench,
    peers: () => [peers()],
  };
  const chosen = Object.entries(options).filter(([name]) => names.includes(name));
  await Promise.all(chosen.flatMap(([, make]) => make()).map(async (each) => esbuild.build(await each)));
}

/** Serves `dist/demos` on the first free port from 8080, to this machine only, and rebuilds when a source changes. */
async function serve() {
  const context = await esbuild.context(demos('dist/demos', false));
  await context.watch();
  let port = 8080;
  while (!(await isFree(port))) port++;
  await context.serve({ host: '127.0.0.1', port, servedir: join(root, 'dist/demos') });
  const lines = demosIn(root).map(({ name, description }) => [`${name}/`, description]);
  for (const [path, what] of [['', 'All demos.'], ...lines]) {
    console.log(`${`http://127.0.0.1:${port}/${path}`.padEnd(34)} ${what}`);
  }
}

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
