/**
 * Files that tests read, the same way in Node and in the browser: the project's own below `test/fixtures`, and the shared
 * folder beside the project, which may be missing. The runner's server shows both to the page.
 */
import { inNode } from './gpu.ts';

/** Bytes of `test/fixtures/<path>`; throws if it is missing. */
export async function readFixture(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await read('test/fixtures', '/fixtures/', path);
  if (!bytes) throw new Error(`test/fixtures/${path} does not exist`);
  return bytes;
}

/** Bytes of `../shared/<path>`, or `undefined` if the folder is missing: the test then calls `this.skip()`. */
export function sharedFile(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  return read('../shared', '/shared/', path);
}

/** Tests run in the project's root. */
async function read(folder: string, url: string, path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (!inNode) {
    const response = await fetch(url + path);
    return response.ok ? new Uint8Array(await response.arrayBuffer()) : undefined;
  }
  const { readFile } = await import('node:fs/promises');
  try {
    return new Uint8Array(await readFile(`${folder}/${path}`));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
