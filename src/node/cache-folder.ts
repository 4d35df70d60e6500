/**
 * The folders of this user's caches: unpacked software, measurements. They may be deleted at any time and are recreated.
 */
import { stat } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFolder } from './temporary.ts';

/** `$XDG_CACHE_HOME/webalign`, `~/.cache/webalign`, or a user-specific folder for temporary files. */
export async function cacheFolder(purpose: string): Promise<string> {
  const caches = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const user = process.getuid?.() ?? 0;
  for (const folder of [join(caches, 'webalign'), join(tmpdir(), `webalign-${user}`)]) {
    try {
      await makeFolder(folder, 0o700);
      const { uid, mode } = await stat(folder);
      // Code is loaded from here, so no other user may have write access.
      if (uid === user && (mode & 0o022) === 0) return folder;
    } catch {
      // Not writable: try the next one.
    }
  }
  throw new Error(`No folder to ${purpose}: make ${caches} writable or set XDG_CACHE_HOME.`);
}
