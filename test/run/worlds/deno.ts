/**
 * Deno, whose WebGPU is wgpu and naga, the core of Firefox's. `npm i --no-save deno` installs it. Where the machine has no GPU, wgpu
 * gets the Vulkan loader and SwiftShader that come by npm.
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { carried, isCarried } from '../../../src/node/carried.ts';
import { mayHaveVulkanDriver } from '../../../src/node/vulkan-drivers.ts';
import { runInChildren } from './child.ts';
import type { World } from './world.ts';

/** `$WEBALIGN_DENO`, or a folder of `$PATH`, or the package `deno`. */
function findDeno(env = process.env): string | undefined {
  const folders = [...(env.PATH ?? '').split(delimiter), 'node_modules/.bin'];
  const places = [env.WEBALIGN_DENO, ...folders.map((folder) => join(folder, 'deno'))];
  return places.find((place) => place && existsSync(place));
}

async function environment(): Promise<NodeJS.ProcessEnv> {
  if (!isCarried || (await mayHaveVulkanDriver())) return process.env;
  const folder = await carried('swiftshader');
  const driver = join(folder, 'vk_swiftshader_icd.json');
  const libraries = [folder, process.env.LD_LIBRARY_PATH].filter(Boolean).join(delimiter);
  return { ...process.env, LD_LIBRARY_PATH: libraries, VK_ICD_FILENAMES: driver, VK_DRIVER_FILES: driver };
}

export const deno: World = {
  isWhole: false,
  async missing() {
    return findDeno()
      ? undefined
      : 'no deno in PATH or node_modules; `npm i --no-save deno` installs it, or WEBALIGN_DENO names it';
  },
  async run(files, report, options) {
    const program = { command: findDeno() ?? 'deno', args: ['run', '--allow-all'], env: await environment() };
    await runInChildren(program, files, report, options);
  },
};
