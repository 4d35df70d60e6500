/**
 * Whether there may be a Vulkan driver. If a loader is installed without any driver, as with libraries for browsers, Dawn
 * and the loader print warnings to stderr that users cannot act on. Only looks at file names.
 */
import { readdir } from 'node:fs/promises';
import { basename, delimiter, join } from 'node:path';

/** Environment variables that name drivers. */
const NAMED = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES', 'VK_ADD_DRIVER_FILES'] as const;

/** GPU device files of the kernel: DRM, NVIDIA, WSL, AMD's compute, Mali. */
const GPU_NODE = /^(dri|nvidia.*|dxg|kfd|mali\d*)$/;

/**
 * The folders that a loader searches on Linux (LoaderDriverInterface.md of Vulkan-Loader), including those of loaders
 * outside /usr.
 */
function manifestFolders(env: NodeJS.ProcessEnv): string[] {
  const { HOME = '/root' } = env;
  const bases = [
    env.XDG_CONFIG_HOME || join(HOME, '.config'),
    ...(env.XDG_CONFIG_DIRS || '/etc/xdg').split(':'),
    '/etc',
    '/usr/local/etc',
    env.XDG_DATA_HOME || join(HOME, '.local/share'),
    ...(env.XDG_DATA_DIRS || '/usr/local/share:/usr/share').split(':'),
    '/usr/share',
    '/run/opengl-driver/share',
    ...(env.CONDA_PREFIX ? [join(env.CONDA_PREFIX, 'share'), join(env.CONDA_PREFIX, 'etc')] : []),
  ];
  return bases.filter(Boolean).map((base) => join(base, 'vulkan/icd.d'));
}

/**
 * False only if a loader cannot find anything: no GPU in /dev, no driver named in the environment, and no manifest in a
 * folder that it reads. `list` returns the names in a folder, empty if it does not exist.
 */
export async function mayHaveVulkanDriver(
  env: NodeJS.ProcessEnv = process.env,
  list: (folder: string) => Promise<readonly string[]> = (folder) => readdir(folder).catch(() => []),
): Promise<boolean> {
  if (NAMED.some((name) => env[name])) return true;
  if ((await list('/dev')).some((name) => GPU_NODE.test(name))) return true;
  const found = await Promise.all(manifestFolders(env).map(list));
  return found.flat().some((name) => name.endsWith('.json'));
}

/** The manifest of Mesa's lavapipe, a driver that runs on the CPU: from the environment, otherwise an installed one. */
export async function lavapipeDriver(
  env: NodeJS.ProcessEnv = process.env,
  list: (folder: string) => Promise<readonly string[]> = (folder) => readdir(folder).catch(() => []),
): Promise<string | undefined> {
  const named = NAMED.flatMap((name) => env[name]?.split(delimiter) ?? []);
  const installed = await Promise.all(
    manifestFolders(env).map(async (folder) => (await list(folder)).map((name) => join(folder, name))),
  );
  return [...named, ...installed.flat()].find((path) => /^lvp[\w.-]*\.json$/.test(basename(path)));
}
