/**
 * What a user gets: packs the package, installs it into an empty project in a temporary folder and uses it there: its size,
 * its types, its pages, its entries in Node, its command, and the model and data that come with it. Needs npm's registry.
 * Prints a line or two per step and, on failure, the output of the step.
 *
 *   node test/run/pack.mjs [--all]
 *
 * Of older versions of TypeScript, and of bundlers with their modes, one each runs per day; `--all` runs every one.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isItsTurn } from '../support/slice.mjs';
import { checkPages } from './pack-pages.mjs';
import { bytesBelow, failing, install, project, root, step, write } from './pack-project.mjs';
import { checkTesting } from './pack-testing.mjs';
import { checkTypes } from './pack-types.mjs';

/** The size of what a page installs, in bytes of `node_modules`: 11 MB in 0.2. */
const MOST_INSTALLED = 15e6;
/** Entries that work in Node only. */
const FOR_NODE = /^webalign\/(node|testing)\b/;

const turn = process.argv.includes('--all') ? () => true : isItsTurn;
const installed = join(project, 'node_modules/webalign');

/** Every entry, used as its documentation says; compiled with full checks (`skipLibCheck` is off). */
const consumer = `
import * as webalign from 'webalign';
import * as node from 'webalign/node';
import { gpuPage, launchChromium } from 'webalign/testing';

if (Object.keys(webalign).length === 0 || Object.keys(node).length === 0) throw new Error('an empty entry');
const browser = await launchChromium();
const page = await gpuPage(browser);
const adapter = await page.evaluate(async () => (await navigator.gpu.requestAdapter())?.info.vendor);
await browser.close();
if (!adapter) throw new Error('no adapter in Chromium');
`;

/** The entries that are modules, all described in the same form. @returns {string[]} */
function checkEntries() {
  const { exports } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
  const modules = Object.entries(exports).filter(([, target]) => typeof target === 'object');
  for (const [entry, target] of modules) {
    const name = entry === '.' ? 'index' : entry.slice(2);
    const shape = {
      'types@>=6': `./dist/types/${name}.d.ts`,
      types: `./dist/types/typescript-5/${name}.d.ts`,
      default: `./dist/${name}.js`,
    };
    if (JSON.stringify(target) !== JSON.stringify(shape))
      throw new Error(`package: "${entry}" of exports is not ${JSON.stringify(shape)}`);
    for (const path of Object.values(shape))
      if (!existsSync(join(installed, path))) throw new Error(`package: ${path} of exports is missing`);
  }
  const entries = modules.map(([entry]) => `webalign${entry.slice(1)}`);
  console.log(`package: entries ${entries.join(' ')}`);
  return entries;
}

/** Files that the README links. */
function checkLinks() {
  const readme = readFileSync(join(installed, 'README.md'), 'utf8');
  const links = [...readme.matchAll(/\]\(([^)#\s]+)/g)].map(([, link = '']) => link);
  const dead = links.filter((link) => !/^https?:/.test(link) && !existsSync(join(installed, link)));
  if (dead.length > 0) throw new Error(`package: the README's links ${dead.join(', ')} lead nowhere`);
  if (!existsSync(join(installed, 'LICENSE'))) throw new Error('package: no licence');
}

function checkSize() {
  const bytes = bytesBelow(join(project, 'node_modules'));
  const [size, most] = [bytes, MOST_INSTALLED].map((each) => `${(each / 1e6).toFixed(1)} MB`);
  console.log(`package: a page installs ${size}, ${most} at most`);
  if (bytes > MOST_INSTALLED) throw new Error(`package: a page installs ${size}, over ${most}`);
}

/** The message of Node without the packages that only Node needs, and the command that it suggests. */
function installNamed(/** @type {string} */ script) {
  write({ 'missing.mjs': script });
  const { status, stderr } = failing(process.execPath, ['missing.mjs']);
  const [line, packages] = /MissingPackageError: .* is not installed\. Run: npm i (.+)/.exec(stderr) ?? [];
  if (status !== 1 || !line || !packages) throw new Error(`package: exit code ${status}, ${stderr}`);
  console.log(`package: ${line}`);
  install(`installed ${packages}`, packages.trim().split(' '));
}

step('packed', 'npm', ['pack', '--pack-destination', project], root);
const tarball = readdirSync(project).find((name) => name.endsWith('.tgz')) ?? '';
write({ 'package.json': '{ "private": true, "type": "module" }\n' });
install('installed', [`./${tarball}`]);
checkSize();
checkLinks();
const entries = checkEntries();
checkTypes(
  entries.filter((entry) => !FOR_NODE.test(entry)),
  turn,
);

const command = failing('npx', ['--no-install', 'webalign', 'doctor']);
if (command.status !== 1 || !/^webalign: .*Run: npm i webgpu@/.test(command.stderr))
  throw new Error(`package: webalign doctor without webgpu: ${command.status}, ${command.stderr}`);
installNamed("import { requestGpu } from 'webalign/node';\nawait requestGpu();\n");
installNamed("import { launchChromium } from 'webalign/testing';\nawait launchChromium();\n");

write({ 'use.ts': consumer });
const tsc = join(root, 'node_modules/typescript/bin/tsc');
const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types')];
for (const module of ['nodenext', 'preserve']) {
  const options = ['--strict', '--module', module, '--target', 'esnext', ...types, 'use.ts'];
  step(`types of Node's entries hold (${module})`, process.execPath, [tsc, ...options]);
}
step('entries work', process.execPath, ['use.js']);
const embedded = ['model/config.json', 'data/train.jsonl'].map((path) => `webalign/embedded/${path}`);
write({
  'embedded.mjs': `console.log(${JSON.stringify(embedded)}.map((path) => import.meta.resolve(path)).join('\\n'));`,
});
for (const url of step('embedded files', process.execPath, ['embedded.mjs']).trim().split('\n'))
  if (!existsSync(new URL(url))) throw new Error(`package: ${url} is missing`);
await checkPages(turn);
checkTesting(turn);

const report = step('webalign doctor', 'npx', ['--no-install', 'webalign', 'doctor', '--json']);
console.log(`package: ${report.trim().split('\n').at(-1)}`);
const align = ['align', '--quick', '--out', 'aligned', '--json'];
const aligned = step('webalign align --quick', 'npx', ['--no-install', 'webalign', ...align]);
for (const file of ['run.json', 'adapter_config.json', 'adapter_model.safetensors', 'report.html']) {
  const { size } = statSync(join(project, 'aligned', file));
  if (size === 0) throw new Error(`package: ${file} is empty`);
  console.log(`package: ${file}, ${size} bytes`);
}
const { steps, loss, eval: held } = JSON.parse(aligned.trim().split('\n').at(-1) ?? '');
if (steps !== 2 || !held) throw new Error(`package: webalign align --quick ended as ${aligned}`);
console.log(`package: ${steps} steps, loss ${loss.first} to ${loss.last}`);
