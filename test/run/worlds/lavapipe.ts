/** Dawn in Node on Mesa's lavapipe, a second software adapter, with its own compiler (LLVM). */
import { lavapipeDriver } from '../../../src/node/vulkan-drivers.ts';
import { runInChildren } from './child.ts';
import type { World } from './world.ts';

export const lavapipe: World = {
  isWhole: false,
  async missing() {
    return (await lavapipeDriver())
      ? undefined
      : 'no lavapipe; install Mesa (Debian and Ubuntu: mesa-vulkan-drivers), or name its lvp_icd.json by VK_DRIVER_FILES';
  },
  async run(files, report, options) {
    const env = { ...process.env, WEBALIGN_ADAPTER: 'lavapipe' };
    await runInChildren({ command: process.execPath, args: [], env }, files, report, options);
  },
};
