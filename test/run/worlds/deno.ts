/** Deno, whose WebGPU is wgpu and naga, the core of Firefox's. `npm i --no-save deno` installs it. */
import { findProgram } from '../../support/programs.ts';
import { runInChildren } from './child.ts';
import { vulkanEnvironment } from './vulkan.ts';
import type { World } from './world.ts';

/** `$WEBALIGN_DENO`, or a folder of `$PATH`, or the package `deno`. */
const findDeno = () => findProgram(process.env.WEBALIGN_DENO, ['deno'], ['node_modules/.bin']);

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
