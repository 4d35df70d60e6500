/**
 * The contents of the npm package @sparticuz/chromium, unpacked on disk: a Chromium for Linux on x64, its libraries, and
 * SwiftShader, a Vulkan driver that runs on the CPU. Unpacked once into the user's cache folder. A folder is unpacked under
 * a temporary name and renamed, so that a folder with its final name is complete.
 */
import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { createBrotliDecompress } from 'node:zlib';
import { cacheFolder } from './cache-folder.ts';
import { makeFolder } from './temporary.ts';

export const CARRIER = '@sparticuz/chromium';

/** Archives in the package's `bin/`, by the folder below `chromium-VERSION/` into which they are unpacked. */
const CONTENTS = {
  swiftshader: ['swiftshader.tar.br'],
  /** SwiftShader must be beside the browser, which looks for it there; `al2023/lib` and `fonts` are for minimal containers. */
  chromium: ['chromium.br', 'al2023.tar.br', 'fonts.tar.br', 'swiftshader.tar.br'],
};

/** Whether the package supports this machine. */
export const isCarried = process.platform === 'linux' && process.arch === 'x64';

/** The folder `name`, unpacked if necessary. */
export async function carried(name: keyof typeof CONTENTS): Promise<string> {
  const root = join(dirname(fileURLToPath(import.meta.resolve(CARRIER))), '..', '..');
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  const folder = join(await cacheFolder(`unpack ${CARRIER} into`), `chromium-${version}`, name);
  if (await isFolder(folder)) return folder;

  const partial = `${folder}.${randomUUID()}`;
  await makeFolder(partial);
  try {
    for (const archive of CONTENTS[name]) await unpack(join(root, 'bin', archive), partial);
    if (name === 'chromium')
      await writeFile(join(partial, 'fonts.conf'), fontConfiguration(join(folder, 'fonts')));
    await rename(partial, folder);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    // Another process may have been faster; its folder is equivalent.
    if (!(await isFolder(folder))) throw error;
  }
  return folder;
}

/** Unpacks `name.tar.br` (into the folder `name` unless it is SwiftShader), or `name.br` as the executable `name`. */
async function unpack(archive: string, folder: string): Promise<void> {
  const [name = '', kind] = archive.slice(dirname(archive).length + 1).split('.');
  const source = [createReadStream(archive), createBrotliDecompress()] as const;
  const target = join(folder, name === 'swiftshader' ? '' : name);
  if (kind === 'tar') {
    // tar-fs is a dependency of the package, so it is resolved from there, which also works with isolated dependencies.
    const { extract } = createRequire(import.meta.resolve(CARRIER))('tar-fs') as typeof import('tar-fs');
    await pipeline(...source, extract(target));
  } else {
    await pipeline(...source, createWriteStream(target));
    await chmod(target, 0o755);
  }
}

/** The system's fonts and those in `folder`: without any font, text has no width and pages have no layout. */
function fontConfiguration(folder: string): string {
  const include = '<include ignore_missing="yes">/etc/fonts/fonts.conf</include>';
  return `<?xml version="1.0"?><fontconfig>${include}<dir>${folder}</dir></fontconfig>\n`;
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}
