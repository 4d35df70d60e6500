/** Vulkan for programs that bring WebGPU but no software adapter. */
import { delimiter, join } from 'node:path';
import { carried, isCarried } from '../../../src/node/carried.ts';
import { mayHaveVulkanDriver } from '../../../src/node/vulkan-drivers.ts';

/**
 * Variables by which a program finds a Vulkan driver: none where the system has one, else those of the loader and SwiftShader that
 * come by npm.
 */
export async function vulkanEnvironment(): Promise<NodeJS.ProcessEnv> {
  if (!isCarried || (await mayHaveVulkanDriver())) return {};
  const folder = await carried('swiftshader');
  const driver = join(folder, 'vk_swiftshader_icd.json');
  const libraries = [folder, process.env.LD_LIBRARY_PATH].filter(Boolean).join(delimiter);
  return { LD_LIBRARY_PATH: libraries, VK_ICD_FILENAMES: driver, VK_DRIVER_FILES: driver };
}
