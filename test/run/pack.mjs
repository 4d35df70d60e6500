/**
 * What a user gets: packs the package, installs it into an empty project in a temporary folder and uses it there: its
 * types, its entries, its command, and the model and data that come with it. Needs npm's registry. Prints a line or two a
 * step and fails with the output of the step.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const project = mkdtempSync(join(tmpdir(), 'webalign-pack-'));

/**
 * Runs a command in the empty project, or in `cwd`, and returns its stdout. What it prints is shown only if it fails.
 *
 * @param {string} what
 * @param {string} command
 * @param {string[]} args
 */
function step(what, command, args, cwd = project) {
  const start = performance.now();
  try {
    const stdout = execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    console.log(`package: ${what}, ${((performance.now() - start) / 1000).toFixed(1)} s`);
    return stdout;
  } catch (error) {
    const { stdout, stderr } = /** @type {{ stdout: string, stderr: string }} */ (error);
    throw new Error(`package: ${what} failed\n${stdout}\n${stderr}`);
  }
}

/** Every entry, used as its documentation says; compiled without checking it away (`skipLibCheck` is off). */
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

try {
  step('packed', 'npm', ['pack', '--pack-destination', project], root);
  const tarball = readdirSync(project).find((name) => name.endsWith('.tgz')) ?? '';
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }\n');
  step('installed', 'npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', `./${tarball}`]);

  const { exports } = JSON.parse(readFileSync(join(project, 'node_modules/webalign/package.json'), 'utf8'));
  console.log(`package: entries ${Object.keys(exports).join(' ')}`);
  writeFileSync(join(project, 'use.ts'), consumer);
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types')];
  for (const module of ['nodenext', 'preserve']) {
    const options = ['--strict', '--module', module, '--target', 'esnext', ...types, 'use.ts'];
    step(`types hold (${module})`, process.execPath, [tsc, ...options]);
  }
  step('entries work', process.execPath, ['use.js']);
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
} finally {
  rmSync(project, { recursive: true, force: true });
}
