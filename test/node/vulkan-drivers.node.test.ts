/** When Dawn is asked for a driver at all: whenever there might be one. */
import { expect } from 'chai';
import { mayHaveVulkanDriver } from '../../src/node/vulkan-drivers.ts';

const listing = (folders: Readonly<Record<string, readonly string[]>>) => async (folder: string) =>
  folders[folder] ?? [];

describe('node/vulkan-drivers', () => {
  it('are not searched if neither devices nor manifests nor variables indicate one', async () => {
    expect(await mayHaveVulkanDriver({}, listing({}))).to.equal(false);
    const bare = { '/dev': ['null', 'tty', 'shm'], '/usr/share/vulkan/icd.d': ['README'] };
    expect(await mayHaveVulkanDriver({ HOME: '/home/a', VK_DRIVER_FILES: '' }, listing(bare))).to.equal(
      false,
    );
  });

  for (const [what, env, folders] of [
    ['a GPU in /dev', {}, { '/dev': ['dri'] }],
    ['an NVIDIA device', {}, { '/dev': ['nvidiactl'] }],
    ['WSL', {}, { '/dev': ['dxg'] }],
    ['a manifest of the system', {}, { '/usr/share/vulkan/icd.d': ['lvp_icd.x86_64.json'] }],
    ['a manifest in /etc', {}, { '/etc/vulkan/icd.d': ['nvidia_icd.json'] }],
    [
      'a manifest in the home folder',
      { HOME: '/home/a' },
      { '/home/a/.local/share/vulkan/icd.d': ['x.json'] },
    ],
    [
      'a manifest in a folder of XDG_DATA_DIRS',
      { XDG_DATA_DIRS: '/a:/b' },
      { '/b/vulkan/icd.d': ['x.json'] },
    ],
    ['a manifest of conda', { CONDA_PREFIX: '/c' }, { '/c/share/vulkan/icd.d': ['x.json'] }],
    ['NixOS', {}, { '/run/opengl-driver/share/vulkan/icd.d': ['x.json'] }],
    ['a variable that names drivers', { VK_ICD_FILENAMES: '/x.json' }, {}],
  ] as const)
    it(`are searched if there is ${what}`, async () => {
      expect(await mayHaveVulkanDriver(env, listing(folders))).to.equal(true);
    });
});
