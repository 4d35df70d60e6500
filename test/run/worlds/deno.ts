/** Deno, whose WebGPU is wgpu and naga, the core of Firefox's. `npm i --no-save deno` installs it. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { runInChildren } from './child.ts';
import { vulkanEnvironment } from './vulkan.ts';
import type { World } from './world.ts';

/** `$WEBALIGN_DENO`, or a folder of `$PATH`, or the package `deno`. */
function findDeno(env = process.env): string | undefined {
  const folders = [...(env.PATH ?? '').split(delimiter), 'node_modules/.bin'];
  const places = [env.WEBALIGN_DENO, ...folders.map((folder) => join(folder, 'deno'))];
  return places.find((place) => place && existsSync(place));
}

export const deno: World = {
  isWhole: false,
  async missing() {
    return findDeno()
      ? undefined
      : 'no deno in PATH or node_modules; `npm i --no-save deno` installs it, or WEBALIGN_DENO names it';
  },
  async run(files, report, options) {
    const env = { ...process.env, ...(await vulkanEnvironment()) };
    const program = { command: findDeno() ?? 'deno', args: ['run', '--allow-all'], env };
    await runInChildren(program, files, report, options);
  },
};
