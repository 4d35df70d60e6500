/**
 * The bench on a machine with a GPU: finds what WebGPU in Node needs there, says what is missing, and runs the bench, with
 * PyTorch on the same jobs where there is a Python that has it.
 *
 *   node test/bench/on-gpu.mjs [--python PYTHON] [--icd FILE] [options of npm run bench]
 *
 * Dawn finds GPUs on Linux through a Vulkan loader and the driver's manifest. If the system has no loader, as in many
 * containers, the one in @sparticuz/chromium is used; if NVIDIA's driver has installed no manifest, one is written. On
 * other systems nothing is needed. It changes nothing on the system.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as esbuild from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
const own = /** @type {const} */ ({
  python: { type: 'string', default: 'python3' },
  icd: { type: 'string' },
});
const { values, tokens } = parseArgs({ options: own, strict: false, tokens: true, allowPositionals: true });
const mine = new Set(
  tokens.flatMap((token) => ('name' in token && token.name in own ? [token.index, token.index + 1] : [])),
);
const rest = process.argv.slice(2).filter((_, i) => !mine.has(i));

/** Where drivers put their manifests. */
const MANIFESTS = ['/etc/vulkan/icd.d', '/usr/share/vulkan/icd.d', '/usr/local/share/vulkan/icd.d'];
const NVIDIA = ['libGLX_nvidia.so.0', 'libEGL_nvidia.so.0'];

/** The libraries that the dynamic loader knows. */
const libraries = spawnSync('ldconfig', ['-p'], { encoding: 'utf8' }).stdout ?? '';

async function environment() {
  if (process.platform !== 'linux') return {};
  const folder = mkdtempSync(join(tmpdir(), 'webalign-gpu-'));
  /** @type {Record<string, string>} */
  const env = {};
  if (!libraries.includes('libvulkan.so.1')) {
    symlinkSync(join(await carriedLoader(folder), 'libvulkan.so.1'), join(folder, 'libvulkan.so.1'));
    env.LD_LIBRARY_PATH = [folder, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':');
    console.log('No Vulkan loader here: taking the one from @sparticuz/chromium.');
  }
  const manifests = MANIFESTS.filter(existsSync).flatMap((path) => readdirSync(path));
  const driver = NVIDIA.find((name) => libraries.includes(name));
  if (values.icd) env.VK_DRIVER_FILES = env.VK_ICD_FILENAMES = String(values.icd);
  else if (!manifests.some((name) => name.includes('nvidia')) && driver) {
    const manifest = join(folder, 'nvidia_icd.json');
    const icd = { library_path: driver, api_version: '1.3.0' };
    writeFileSync(manifest, JSON.stringify({ file_format_version: '1.0.0', ICD: icd }));
    env.VK_DRIVER_FILES = env.VK_ICD_FILENAMES = manifest;
    console.log(`No manifest of a driver here: written one for ${driver}.`);
  } else if (manifests.length === 0) {
    console.log(
      'No Vulkan driver here. Install the one of the GPU; a container needs its graphics part as well ' +
        '(NVIDIA_DRIVER_CAPABILITIES=all).',
    );
  }
  return env;
}

/** Folder of the loader that comes by npm. @param {string} folder for the build of what unpacks it */
async function carriedLoader(folder) {
  const outfile = join(root, 'dist/bench/carried.js');
  await esbuild.build({
    entryPoints: [join(root, 'src/node/carried.ts')],
    outfile,
    bundle: true,
    format: 'esm',
    packages: 'external',
    logLevel: 'warning',
  });
  const { carried } = await import(`${outfile}?${folder}`);
  return carried('swiftshader');
}

const env = { ...process.env, WEBALIGN_ADAPTER: 'native', ...(await environment()) };
const options = { stdio: /** @type {const} */ ('inherit'), env, cwd: root };
const bench = spawnSync(process.execPath, [join(here, 'main.mjs'), ...rest], options);
const torch = join(here, 'torch_peer.py');
const python = String(values.python);
if (spawnSync(python, ['-c', 'import torch']).status === 0) {
  spawnSync(python, [torch, '--table', ...(rest.includes('--quick') ? ['--quick'] : [])], {
    ...options,
    env: process.env,
  });
} else console.log(`PyTorch was left out: ${python} has none. Name one that has it with --python.`);
process.exit(bench.status ?? 1);
