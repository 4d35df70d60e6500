/**
 * WebGPU in Node: Dawn, from the npm package `webgpu`, on the machine's GPU. Without a GPU it uses SwiftShader, a software
 * adapter from npm. The choice is made once per process. Only `src/node` and `src/cli` import this; all other code uses a
 * `GPU`, the browser's or this one.
 *
 * A process ends by itself once nothing is awaited from the GPU, with or without `device.destroy()`. If it stops with a
 * pending `mapAsync`, that is rejected (AbortError) on exit; `process.exit()` ends it immediately and cleanly. Waiting only
 * for `device.lost` does not keep a process alive.
 */
import { constants } from 'node:os';
import { join } from 'node:path';
import { NoAdapterError } from '../gpu/errors.ts';
import { type AdapterKey, type AdapterName, kindOf } from './adapter-name.ts';
import { CARRIER, carried, isCarried } from './carried.ts';
import { isInstalled, MissingPackageError, missing, optional } from './packages.ts';
import { lavapipeDriver, mayHaveVulkanDriver } from './vulkan-drivers.ts';
import { yieldCpuWhileWaiting } from './yield-cpu.ts';

export interface NodeGpu {
  /** Like `navigator.gpu` in a browser. Its constants (`GPUBufferUsage` and so on) become globals. */
  gpu: GPU;
  /** Whether the adapter is software that runs on the CPU. */
  software: boolean;
  /** One line for the user; only if `software`. */
  notice?: string;
}

/**
 * Dawn clamps every index in a shader, and SwiftShader checks every address again, which takes a quarter of a run's time.
 * The kernels check their own bounds, and are tested in browsers, where the checks remain enabled.
 */
const UNCHECKED = ['disable_robustness'];

/** glibc's `RTLD_NODELETE`, which is missing in Node's constants. */
const RTLD_NODELETE = 0x1000;

let chosen: Promise<NodeGpu> | undefined;

type Dawn = typeof import('webgpu');

/** Dawn with these feature toggles and those in `WEBALIGN_DAWN`, such as `allow_unsafe_apis`. */
function dawn({ create }: Dawn, features: readonly string[] = []): GPU {
  const named = [...features, process.env.WEBALIGN_DAWN].filter(Boolean);
  return create(named.length > 0 ? [`enable-dawn-features=${named.join(',')}`] : []);
}

/** How to choose; the first call of a process decides. */
export interface NodeGpuChoice {
  /** Use only this adapter; default: `WEBALIGN_ADAPTER`. */
  adapter?: AdapterName | undefined;
  /** Keep Dawn's index checks on SwiftShader too, for WGSL that may be wrong. */
  checked?: boolean | undefined;
}

/**
 * The GPU of this machine. `WEBALIGN_ADAPTER=native` only allows a system adapter, `swiftshader` or `lavapipe` select these
 * even if there is a GPU. Throws {@link NoAdapterError} if none is available, and {@link MissingPackageError} without the
 * package that contains it.
 */
export function requestNodeGpu(choice: NodeGpuChoice = {}): Promise<NodeGpu> {
  chosen ??= choose(choice);
  return chosen;
}

async function choose({ adapter, checked }: NodeGpuChoice): Promise<NodeGpu> {
  const name = adapter ?? process.env.WEBALIGN_ADAPTER;
  const forced = name ? kindOf(name) : undefined;
  const software = isCarried && forced !== 'native' ? [CARRIER] : [];
  const library: Dawn = await optional('WebGPU in Node', 'webgpu', software, () => import('webgpu'));
  Object.assign(globalThis, library.globals);
  const found = forced
    ? await WAYS[forced](library, { insists: true, checked })
    : ((await native(library, { insists: false })) ?? (await swiftShader(library, { checked })));
  if (found) {
    if (found.software) yieldCpuWhileWaiting(library.globals);
    return found;
  }
  throw new NoAdapterError(forced ? MISSING[forced] : `No GPU adapter found, and ${MISSING.swiftshader}`);
}

type Way = (
  library: Dawn,
  how: { insists?: boolean; checked?: boolean | undefined },
) => Promise<NodeGpu | undefined>;

const WAYS: Record<AdapterKey, Way> = {
  native,
  swiftshader: swiftShader,
  lavapipe,
};

/** Why an adapter is missing, and what to do. */
const MISSING: Record<AdapterKey, string> = {
  native:
    'No GPU adapter found, and WEBALIGN_ADAPTER=native allows no other. Install a GPU driver (Vulkan on Linux) or unset it.',
  swiftshader:
    `the software adapter from npm is for Linux on x64 only (this is ${process.platform} on ${process.arch}). ` +
    "Install a GPU driver (Vulkan on Linux; Mesa's lavapipe needs no GPU), or use a browser.",
  lavapipe:
    'No lavapipe found that Dawn supports. Install Mesa 23 or later (Debian and Ubuntu: mesa-vulkan-drivers and libvulkan1), or set VK_DRIVER_FILES to ' +
    'its lvp_icd.json.',
};

/** A system adapter, including Mesa's lavapipe or Windows' WARP. */
async function native(library: Dawn, { insists }: Parameters<Way>[1]): Promise<NodeGpu | undefined> {
  // Without a Vulkan loader, or with a loader without a driver, Dawn would find nothing and print its own warnings.
  if (process.platform === 'linux') {
    if (!insists && !(await mayHaveVulkanDriver())) return undefined;
    if (!load('libvulkan.so.1')) return undefined;
  }
  const gpu = dawn(library);
  const info = (await gpu.requestAdapter({ powerPreference: 'high-performance' }))?.info;
  if (!info) return undefined;
  if (!info.isFallbackAdapter) return { gpu, software: false };
  return { gpu, software: true, notice: notice(info.description || info.architecture) };
}

/** Mesa's software driver, even if there is a GPU. Dawn keeps its index checks. */
async function lavapipe(library: Dawn): Promise<NodeGpu | undefined> {
  const driver = await lavapipeDriver();
  if (!driver) return undefined;
  process.env.VK_ICD_FILENAMES = process.env.VK_DRIVER_FILES = driver;
  if (!load('libvulkan.so.1') && !(await loadCarried())) return undefined;
  const gpu = dawn(library);
  const info = (await gpu.requestAdapter())?.info;
  if (!info) return undefined;
  return { gpu, software: true, notice: notice(info.description || info.architecture) };
}

/**
 * SwiftShader. The loader reads the driver from the environment each time an instance is created, so this works after
 * {@link native} found nothing, in the same process.
 */
async function swiftShader(library: Dawn, { checked }: Parameters<Way>[1]): Promise<NodeGpu | undefined> {
  if (!isCarried) return undefined;
  if (!isInstalled(CARRIER))
    throw new MissingPackageError(missing('No GPU adapter found: the software adapter', CARRIER));
  const folder = await carried('swiftshader');
  process.env.VK_ICD_FILENAMES = process.env.VK_DRIVER_FILES = join(folder, 'vk_swiftshader_icd.json');
  if (!load('libvulkan.so.1')) await loadCarried();
  const gpu = dawn(library, checked ? [] : UNCHECKED);
  if (!(await gpu.requestAdapter())) {
    throw new NoAdapterError(
      `The software adapter in ${folder} does not start. Remove that folder and try again.`,
    );
  }
  return { gpu, software: true, notice: notice('SwiftShader', ', from the npm package @sparticuz/chromium') };
}

function notice(name: string, origin = ''): string {
  return `No GPU adapter found: running on ${name}, a software adapter on the CPU${origin}. Expect it to be slow.`;
}

/** Loads the Vulkan loader from the npm package. */
async function loadCarried(): Promise<boolean> {
  return isCarried && isInstalled(CARRIER) && load(join(await carried('swiftshader'), 'libvulkan.so.1'));
}

/**
 * Loads a shared library into this process permanently, so that Dawn's own `dlopen` of the same name finds it. Node expects
 * an addon and reports an error after loading the library. Returns whether it is loaded.
 */
function load(library: string): boolean {
  const { RTLD_NOW, RTLD_GLOBAL } = constants.dlopen;
  try {
    process.dlopen({ exports: {} }, library, RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE);
    return true;
  } catch (error) {
    return error instanceof Error && error.message.includes('did not self-register');
  }
}
