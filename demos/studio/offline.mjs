/**
 * Writes the studio's service worker, with the list of what it keeps: the page, what the page and its worker load, and the
 * embedded model. Run after the demos are built.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { build } from 'esbuild';

const PAGE = 'studio';
/** What is copied and not bundled: the page itself, its manifest and icon, and what the worker fetches. */
const COPIED = [
  'studio/index.html',
  'studio/manifest.webmanifest',
  'studio/icon.svg',
  'align/data/eval.jsonl',
];
const MODEL = 'align/model';
const BUNDLED = ['studio/page.js', 'studio/worker.js', 'studio/style.css'];

/**
 * @param {string} root
 * @param {string} outdir the built demos, relative to the root
 * @param {import('esbuild').Metafile} metafile of that build
 */
export async function writeServiceWorker(root, outdir, metafile) {
  const inModel = readdirSync(join(root, outdir, MODEL)).filter((file) => !file.endsWith('.md'));
  const model = inModel.map((file) => `${MODEL}/${file}`);
  const files = [...COPIED, ...model, ...bundled(outdir, metafile)].sort();
  const hash = createHash('sha256');
  for (const file of files) hash.update(file).update(readFileSync(join(root, outdir, file)));
  await writeWith(root, outdir, { files: files.map(address), version: hash.digest('hex').slice(0, 16) });
}

/**
 * One that keeps nothing, for pages that are rebuilt while they are open.
 *
 * @param {string} root @param {string} outdir
 */
export const writeIdleServiceWorker = (root, outdir) =>
  writeWith(root, outdir, { files: [], version: 'none' });

/** @param {string} root @param {string} outdir @param {{ files: string[], version: string }} list */
async function writeWith(root, outdir, { files, version }) {
  await build({
    absWorkingDir: root,
    entryPoints: ['demos/studio/service-worker.ts'],
    outfile: join(outdir, PAGE, 'service-worker.js'),
    define: { FILES: JSON.stringify(files), VERSION: JSON.stringify(version) },
    format: 'iife',
    target: 'es2022',
    minify: true,
    logLevel: 'warning',
  });
}

/** The bundles of the page and all that they import. @param {string} outdir @param {import('esbuild').Metafile} metafile */
function bundled(outdir, { outputs }) {
  const found = new Set(BUNDLED.map((file) => posix.join(outdir, file)));
  for (const path of found)
    for (const { path: imported, external } of outputs[path]?.imports ?? [])
      if (!external) found.add(imported);
  return [...found].map((path) => posix.relative(outdir, path));
}

/** Relative to the page; a folder stands for its page. @param {string} file */
const address = (file) => (file === `${PAGE}/index.html` ? './' : posix.relative(PAGE, file));
