/**
 * A folder, or a file, that one process at a time writes to. Taking it also tries it: it is made, a small file is written and flushed, and
 * what is wrong with it is told before anything is computed.
 */
import { rmdir } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { InputError, printable, reason } from '../io/errors.ts';
import { type Holder, Lock } from './lock.ts';
import { makeFolder } from './temporary.ts';

/** The name of the lock in its folder. It is there while the folder is in use, or was when a process was killed. */
export const LOCK_FILE = '.webalign.lock';

/** A folder or a file that is this process's own until it is released. */
export interface FolderLock extends AsyncDisposable {
  /** Lets others use it. Removes a folder that was made for this and is empty. */
  release(): Promise<void>;
}

/**
 * Takes the folder `dir` for this process, and makes it where it is missing. Throws {@link InputError} with the process that
 * has it, or with the reason why it cannot be written. A lock whose process is gone is taken over: its machine was started
 * again, its number is free or belongs to a process that began at another time.
 */
export function lockFolder(dir: string): Promise<FolderLock> {
  return lockPlace(dir, dir, join(dir, LOCK_FILE));
}

/** The same for a single file; its folder may be used by others. */
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
    return new InputError(place, what, `If no run uses it, remove ${path}; otherwise choose another place`);
  }
  const { pid, host } = owner;
  const time = printable(since.replace('T', ' ').replace(/\.\d+Z$/, ' UTC'));
  const holder = `is in use by process ${pid} on ${printable(host)} since ${time}`;
  if (state === 'running') {
    const wayOut = `Wait until it ends or stop it (kill ${pid}), or choose another place`;
    return new InputError(place, holder, wayOut);
  }
  const wayOut = `If that process no longer runs, remove ${path}; otherwise choose another place`;
  return new InputError(place, `${holder}, which cannot be seen from here`, wayOut);
}

/** Removes the folder and those above it up to `top`, as far as nothing is in them. */
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
