/**
 * The examples of `docs/testing`, one folder per runner, in the project that the package is installed in: their shader
 * passes, and a test with an error fails with the cause in its first lines. Each runner is a row of {@link RUNNERS}.
 */
import { execFileSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { installFor, project, root, step, write } from './pack-project.mjs';

/** @typedef {{ name: string, packages: string[], entry: string, assertion: string, command: string[] }} Runner */

const EXPECT = 'const close = (actual, expected) => expect(actual).toBeCloseToTensor(expected);';
const VITEST = ['vitest', 'run', '--reporter=verbose', '--no-color'];

/** @type {Runner[]} */
const RUNNERS = [
  {
    name: 'playwright',
    packages: [],
    entry: 'playwright',
    assertion: EXPECT,
    command: ['playwright', 'test', '--workers=1'],
  },
  {
    name: 'vitest-browser',
    packages: ['vitest@4', '@vitest/browser-playwright@4'],
    entry: 'vitest',
    assertion: EXPECT,
    command: VITEST,
  },
  { name: 'vitest-node', packages: ['vitest@4'], entry: 'vitest', assertion: EXPECT, command: VITEST },
  {
    name: 'node-test',
    packages: [],
    entry: 'node',
    assertion: 'const close = assertCloseToTensor;',
    command: ['node', '--test', '--test-reporter=spec'],
  },
];

/** The error of a test, and how its message begins. @type {Record<string, { body: string, cause: string }>} */
const FAULTS = {
  'a wrong number': {
    body: 'close((await gpu.run({ code, buffers: { x: Float32Array.of(1, 2, 3, 4) }, workgroups: 1 })).x, [2, 4, 6, 9]);',
    cause: '1 of 4 elements differ by more than rtol 0.0000013, atol 0.00001, ulp 0.\n',
  },
  'a compile error': {
    body: "await gpu.run({ code: code.replace('2.0', '2u'), buffers: { x: new Float32Array(4) }, workgroups: 1 });",
    cause: 'shader.wgsl:3:',
  },
  'a validation error': {
    body: 'await gpu.evaluate((device) => void device.createBuffer({ size: 4, usage: 3 }));',
    cause: 'GPU validation error: ',
  },
  'a write past the length': {
    body: 'await gpu.run({ code, buffers: { x: Float32Array.of(1, 2, 3) }, workgroups: 1 });',
    cause: 'shader.wgsl: wrote past the length of x, which is 3: element 3 is ',
  },
  'a lost device': {
    body: 'await gpu.evaluate((device) => device.destroy());',
    cause: 'GPU device lost: ',
  },
};

/** Tests that pass: on a new device, and one that leaves a buffer. */
const AFTERWARDS = `
test('after the loss', async ({ gpu }) => {
  close((await gpu.run({ code, buffers: { x: Float32Array.of(1, 2, 3, 4) }, workgroups: 1 })).x, [2, 4, 6, 8]);
});
test('a leak', async ({ gpu }) => {
  await gpu.evaluate((device) => void device.createBuffer({ label: 'left', size: 4, usage: 8 }));
});
`;

/** @param {Runner} runner */
const faulty = ({ entry, assertion }) => `
import * as kit from 'webalign/testing/${entry}';
const { ${entry === 'node' ? 'assertCloseToTensor' : 'expect'}, test } = kit;
${assertion}
const code = \`
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(4) fn main(@builtin(local_invocation_index) i: u32) { x[i] = 2.0 * x[i]; }\`;
${Object.entries(FAULTS)
  .map(([name, { body }]) => `test('${name}', async ({ gpu }) => {\n  ${body}\n});\n`)
  .join('')}${AFTERWARDS}`;

/** The output of a run that must fail. @param {string} cwd @param {string[]} command @param {Record<string, string>} [env] */
function failed(cwd, command, env = {}) {
  try {
    execFileSync('npx', ['--no-install', ...command], {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
  } catch (error) {
    const { stdout, stderr } = /** @type {{ stdout: string, stderr: string }} */ (error);
    return stripVTControlCharacters(stdout + stderr);
  }
  throw new Error(`package: ${command.join(' ')} with faulty tests ended well`);
}

/** Whether the cause is printed within a few lines after the test's name. @param {string} printed @param {string} name @param {string} cause */
function told(printed, name, cause) {
  for (let at = printed.indexOf(name); at >= 0; at = printed.indexOf(name, at + 1)) {
    const lines = printed.slice(at).split('\n').slice(0, 8).join('\n');
    if (lines.includes(cause.trimEnd())) return true;
  }
  return false;
}

/** @param {Runner} runner */
function check(runner) {
  const { name, command } = runner;
  const folder = join(project, 'testing', name);
  cpSync(join(root, 'docs/testing', name), folder, { recursive: true });
  step(`the example of ${name}`, 'npm', ['test'], folder);

  write({ [`testing/${name}/faulty.test.js`]: faulty(runner) });
  const printed = failed(folder, [...command, 'faulty.test.js']);
  const silent = Object.entries(FAULTS).filter(([fault, { cause }]) => !told(printed, fault, cause));
  if (silent.length > 0)
    throw new Error(
      `package: ${name} does not tell of ${silent.map(([fault]) => fault).join(', ')}\n${printed}`,
    );
  const failures = Object.keys(FAULTS).length;
  if (
    !new RegExp(`${failures} failed|fail ${failures}\\b`).test(printed) ||
    !/2 passed|pass 2\b/.test(printed)
  )
    throw new Error(`package: ${name} has other tests failed than the faulty ones\n${printed}`);
  if (!/GPU leak: 1 not destroyed:[\s\S]{0,40}buffer "left" of size 4/.test(printed))
    throw new Error(`package: ${name} does not warn of a leak\n${printed}`);
  const without = failed(folder, command, {
    WEBALIGN_ADAPTER: 'lavapipe',
    VK_DRIVER_FILES: '/none/lvp.json',
  });
  if (!/NoChromiumError|NoAdapterError|No lavapipe found|No Chromium with WebGPU found/.test(without))
    throw new Error(`package: ${name} without an adapter says\n${without}`);
  console.log(
    `package: ${name} fails for ${Object.keys(FAULTS).join(', ')} and no adapter, and warns of a leak`,
  );
}

/** @param {(place: number, of: number) => boolean} isItsTurn */
export function checkTesting(isItsTurn) {
  for (const [place, runner] of RUNNERS.entries()) {
    const { name, packages } = runner;
    if (!isItsTurn(place, RUNNERS.length))
      console.log(`package: skipped tests by ${name}: it runs on another day; --all runs it now`);
    else if (packages.length === 0 || installFor(name, packages)) check(runner);
  }
}
