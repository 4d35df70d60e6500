/**
 * A folder, or a file, that only one process at a time writes to. Taking the lock also tests the folder: it is created, a
 * small file is written and flushed, and any problem is reported before anything is computed.
 */
import { rmdir } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { InputError, printable, reason } from '../io/errors.ts';
import { type Holder, Lock } from './lock.ts';
import { makeFolder } from './temporary.ts';

/** The name of the lock in its folder. It exists while the folder is in use, or after a process was killed. */
export const LOCK_FILE = '.webalign.lock';

/** Exclusive use of a folder or a file by this process until released. */
export interface FolderLock extends AsyncDisposable {
  /** Releases the lock. Removes a folder that was created for it and is empty. */
  release(): Promise<void>;
}

/**
 * Locks the folder `dir` for this process, and creates it if necessary. Throws {@link InputError} with the process that
 * holds the lock, or with the reason why the folder cannot be written. A lock is taken over if its process no longer
 * exists: the machine was restarted, or the process id is unused or belongs to a process with another start time.
 */
export function lockFolder(dir: string): Promise<FolderLock> {
  return lockPlace(dir, dir, join(dir, LOCK_FILE));
}

/** The same for a single file; others may use its folder. */
export function lockFile(path: string): Promise<FolderLock> {
  const dir = dirname(path);
  return lockPlace(path, dir, join(dir, `.${basename(path)}.lock`));
}

async function lockPlace(place: string, dir: string, path: string): Promise<FolderLock> {
  let made: string | undefined;
  let taken: Lock | Holder;
  try {
    made = await makeFolder(dir);
    taken = await Lock.take(path);
  } catch (cause) {
    if (made !== undefined) await removeEmpty(dir, made);
    const wayOut = 'Check the folder, its permissions and its free space';
    throw new InputError(place, `cannot be written: ${reason(cause)}`, wayOut, { cause });
  }
  if (!(taken instanceof Lock)) throw inUse(place, path, taken);
  const lock = taken;
  const release = async () => {
    await lock.release().catch(() => undefined);
    if (made !== undefined) await removeEmpty(dir, made);
  };
  return { release, [Symbol.asyncDispose]: release };
}

function inUse(place: string, path: string, { owner, since, state }: Holder): InputError {
  if (!owner) {
    const what = `another run seems to use it, but its lock cannot be read`;
    return new InputError(place, what, `If no run uses it, remove ${path}; otherwise choose another folder`);
  }
  const { pid, host } = owner;
  const time = printable(since.replace('T', ' ').replace(/\.\d+Z$/, ' UTC'));
  const holder = `is in use by process ${pid} on ${printable(host)} since ${time}`;
  if (state === 'running') {
    const wayOut = `Wait until it ends or stop it (kill ${pid}), or choose another folder`;
    return new InputError(place, holder, wayOut);
  }
  const wayOut = `If that process no longer runs, remove ${path}; otherwise choose another folder`;
  return new InputError(place, `${holder}, which is not visible from this process`, wayOut);
}

/** Removes the folder and its parents up to `top`, as far as they are empty. */
async function removeEmpty(dir: string, top: string): Promise<void> {
  for (let at = dir; !relative(top, at).startsWith('..'); at = dirname(at)) {
    if (
      await rmdir(at).then(
        () => false,
        () => true,
      )
    )
      return;
  }
}
