/**
 * Pages that train DPO, built by Vite, webpack and esbuild, in development and in production, and without a bundler from
 * the package's own files; run in Chromium. Each tool is a row of {@link TOOLS}; one tool and mode is tested per day.
 */
import { spawn } from 'node:child_process';
import { cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { stripVTControlCharacters } from 'node:util';
import { installFor, project, root, step, write } from './pack-project.mjs';

/** Two steps on token ids; the first has the loss of a policy that is equal to its reference. */
const SCRIPT = `
import { CausalLM, DPOTrainer, requestGpu } from 'webalign';

async function train() {
  const model = await CausalLM.load(await requestGpu(), './model/', { addressCache: false });
  const trainDataset = [5, 9].map((id) => ({ prompt: [1, id, 7], chosen: [20, 30, id, 2], rejected: [40, id, 50, 2] }));
  const args = { maxSteps: 2, batchSize: 2, learningRate: 1e-2 };
  const losses = [];
  for await (const event of new DPOTrainer({ model, trainDataset, args, peftConfig: { r: 4 } }).train())
    if (event.type === 'step') losses.push(event.metrics.loss);
  return losses;
}

globalThis.trained = train();
`;

const page = (/** @type {string} */ script, head = '') =>
  `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">${head}<script type="module" src="${script}"></script>`;

/** Prints the losses of the page at a URL, or of the folder that the arguments name. */
const DRIVER = `
import { gpuPage, launchChromium, serve } from 'webalign/testing';
const [where] = process.argv.slice(2);
const browser = await launchChromium();
const page = await (where.startsWith('http') ? browser.newPage() : gpuPage(browser, { serve: where }));
const errors = [];
page.on('pageerror', (error) => errors.push(String(error)));
page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
if (where.startsWith('http')) await page.goto(where);
else await page.reload();
const losses = await page.waitForFunction(() => globalThis.trained, undefined, { timeout: 120_000 })
  .then((handle) => handle.jsonValue()).catch((error) => { throw new Error([error, ...errors].join('\\n')); });
await browser.close();
console.log(JSON.stringify(losses));
`;

const MODES = /** @type {const} */ (['development', 'production']);
/** @typedef {(typeof MODES)[number]} Mode */

/**
 * @typedef {object} Tool
 * @property {string} name
 * @property {string[]} packages
 * @property {readonly Mode[]} modes
 * @property {(mode: Mode, folder: string) => void | Promise<Running>} make builds the page in the folder, or serves it
 *
 * @typedef {{ url: string, stop: () => void }} Running
 */

/** What a page without a bundler needs: the locations of the package and of those it imports. */
function importMap() {
  const files = readdirSync(join(project, 'node_modules/webalign/dist'), {
    recursive: true,
    encoding: 'utf8',
  });
  const names = files
    .filter((file) => file.endsWith('.js') && !/^(chunks|cli|node|testing)\b/.test(file))
    .flatMap((file) => [
      ...readFileSync(join(project, 'node_modules/webalign/dist', file), 'utf8').matchAll(
        /^import [^;]*?from "([^."][^"]*)";$/gm,
      ),
    ])
    .map(([, name = '']) => name);
  const wanted = JSON.stringify(['webalign', ...new Set(names)]);
  write({
    'map.mjs': `const found = ${wanted}.map((name) => [name, import.meta.resolve(name)]);
console.log(JSON.stringify(Object.fromEntries(found)));`,
  });
  const resolved = step('import map', process.execPath, ['map.mjs']);
  return resolved.replaceAll(/file:\/\/[^"]*?\/node_modules\//g, './node_modules/').trim();
}

/** @type {Tool[]} */
const TOOLS = [
  {
    name: 'no bundler',
    packages: [],
    modes: ['production'],
    make: (_, folder) => {
      const map = `<script type="importmap">{ "imports": ${importMap()} }</script>`;
      write({ [`${folder}/index.html`]: page('./main.js', map), [`${folder}/main.js`]: SCRIPT });
      cpSync(join(project, 'node_modules'), join(project, folder, 'node_modules'), {
        recursive: true,
        filter: (path) => !/node_modules\/(@sparticuz|playwright|webgpu|\.bin)/.test(path),
      });
    },
  },
  {
    name: 'esbuild',
    packages: ['esbuild'],
    modes: MODES,
    make: (mode, folder) => {
      write({ [`${folder}/index.html`]: page('./main.js') });
      const options = ['--bundle', '--format=esm', '--splitting', `--outdir=${folder}`];
      if (mode === 'production') options.push('--minify');
      step(`esbuild, ${mode}`, 'npx', ['--no-install', 'esbuild', 'page/main.js', ...options]);
    },
  },
  {
    name: 'vite',
    packages: ['vite'],
    modes: MODES,
    make: (mode, folder) => {
      if (mode === 'development')
        return serving('npx', ['--no-install', 'vite', 'page', '--host', '127.0.0.1']);
      const options = ['build', 'page', '--outDir', join(project, folder), '--base', './'];
      step(`vite, ${mode}`, 'npx', ['--no-install', 'vite', ...options]);
      return undefined;
    },
  },
  {
    name: 'webpack',
    packages: ['webpack', 'webpack-cli'],
    modes: MODES,
    make: (mode, folder) => {
      write({ [`${folder}/index.html`]: page('./main.js') });
      const options = ['./page/main.js', '--mode', mode, '--output-path', join(project, folder)];
      step(`webpack, ${mode}`, 'npx', ['--no-install', 'webpack', ...options]);
    },
  },
];

/** Starts a server and returns the URL that it prints. @param {string} command @param {string[]} args @returns {Promise<Running>} */
async function serving(command, args) {
  const server = spawn(command, args, { cwd: project, detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  const stop = () => process.kill(-(server.pid ?? 0));
  for await (const line of createInterface({ input: server.stdout })) {
    const url = /http:\/\/127\.0\.0\.1:\d+\//.exec(stripVTControlCharacters(line))?.[0];
    if (url) return { url, stop };
  }
  throw new Error(`package: ${command} ${args.join(' ')} has no address`);
}

/** @param {string} what @param {string} where */
function drive(what, where) {
  const [first, second] = JSON.parse(step(what, process.execPath, ['drive.mjs', where]));
  if (Math.abs(first - Math.LN2) > 1e-3 || !(second < first))
    throw new Error(`package: ${what} has the losses ${first} and ${second}`);
}

/** @param {(place: number, of: number) => boolean} isItsTurn */
export async function checkPages(isItsTurn) {
  const model = join(root, 'demos/align/model');
  write({ 'drive.mjs': DRIVER, 'page/index.html': page('./main.js'), 'page/main.js': SCRIPT });
  cpSync(model, join(project, 'page/public/model'), { recursive: true });
  const pages = TOOLS.flatMap(({ modes, ...tool }) => modes.map((mode) => ({ ...tool, mode })));
  /** Requested tools, and whether they are installed. @type {Map<string, boolean>} */
  const tools = new Map();
  for (const [place, { name, packages, mode, make }] of pages.entries()) {
    if (!isItsTurn(place, pages.length)) {
      console.log(`package: skipped a page by ${name}, ${mode}: it runs on another day; --all runs it now`);
      continue;
    }
    const isThere = tools.get(name) ?? (packages.length === 0 || installFor(name, packages));
    tools.set(name, isThere);
    if (!isThere) continue;
    const folder = `made/${name.replace(' ', '-')}-${mode}`;
    const running = await make(mode, folder);
    try {
      if (!running) cpSync(model, join(project, folder, 'model'), { recursive: true });
      drive(`DPO in a page by ${name}, ${mode}`, running?.url ?? folder);
    } finally {
      running?.stop();
    }
  }
}
