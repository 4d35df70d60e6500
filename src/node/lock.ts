/**
 * An inter-process lock in a file: it names the process that holds it, the time, and the machine. It needs no heartbeat, so
 * a process that computes for minutes keeps it; a killed process loses it, because others see that it no longer exists.
 */
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { link, lstat, open, readFile, rename, rm } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { isObject, parseJsonObject } from '../io/json.ts';
import { type Owner, type OwnerState, stateOf, thisProcess } from './owner.ts';
import { clearTemporary, withTemporary } from './temporary.ts';

/** A lock file has a few hundred bytes; longer files are not read. */
const MOST_BYTES = 4096;
const POLL_MS = 20;
/** How long an unreadable file may be one that is still being written. */
const WRITING_MS = 300;

/** The holder of a lock. */
export interface Holder {
  owner: Owner | undefined;
  /** When it was taken, as ISO 8601; empty if the file does not say. */
  since: string;
  state: OwnerState;
}

interface LockFile extends Owner {
  since: string;
  /** Different each time, so that a lock cannot be confused with a later one. */
  id: string;
}

/** A lock held by this process. */
export class Lock {
  private constructor(
    readonly path: string,
    private readonly id: string,
  ) {}

  /** Takes the lock in the file `path`, or returns its holder. Throws if the file cannot be written. */
  static async take(path: string): Promise<Lock | Holder> {
    const mine: LockFile = { ...thisProcess(), since: new Date().toISOString(), id: randomUUID() };
    const contents = `${JSON.stringify(mine)}\n`;
    return withTemporary(path, async (temporary) => {
      await clearTemporary(path);
      const file = await open(temporary, 'wx', 0o644);
      try {
        await file.writeFile(contents);
        await file.sync();
      } finally {
        await file.close();
      }
      const holder = await put(temporary, path, contents);
      if (holder) return holder;
      const lock = new Lock(path, mine.id);
      held.add(lock);
      releaseOnExit();
      return lock;
    });
  }

  /** Waits until the lock is free, at most `patience` milliseconds. */
  static async await(path: string, patience: number): Promise<Lock | Holder> {
    for (const end = Date.now() + patience; ; await wait(POLL_MS)) {
      const taken = await Lock.take(path);
      if (taken instanceof Lock || Date.now() > end) return taken;
    }
  }

  async release(): Promise<void> {
    held.delete(this);
    // The file may have been removed manually, and another process may have taken the lock.
    if ((await read(this.path))?.file?.id === this.id) await rm(this.path, { force: true });
  }

  /** Synchronous, for the exit of a process, where waiting is not possible. */
  releaseNow(): void {
    rmSync(this.path, { force: true });
  }
}

const held = new Set<Lock>();
let watchesExit = false;

function releaseOnExit(): void {
  if (watchesExit) return;
  watchesExit = true;
  process.once('exit', () => {
    for (const lock of held) lock.releaseNow();
  });
}

/** Moves the file to the lock's path; returns the holder if the lock is taken. */
async function put(temporary: string, path: string, contents: string): Promise<Holder | undefined> {
  for (;;) {
    if (await claim(temporary, path, contents)) return undefined;
    const found = await readWhole(path);
    if (!found) continue; // Released in the meantime.
    const { file } = found;
    const state = file ? stateOf(file) : 'unknown';
    if (!file || state !== 'gone') return { owner: file, since: file?.since ?? '', state };
    if (await succeed(temporary, path, file)) return undefined;
  }
}

/** Whether the file was moved to the lock's path, which was free. */
async function claim(temporary: string, path: string, contents: string): Promise<boolean> {
  try {
    // Atomic: other processes never see a partly written lock.
    await link(temporary, path);
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL'].includes(code)) throw error;
  }
  // A file system without links.
  try {
    const file = await open(path, 'wx', 0o644);
    await file.writeFile(contents).finally(() => file.close());
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Replaces the lock of a process that no longer exists. If several processes try, a lock on this lock file decides which
 * one may; the others check again.
 */
async function succeed(temporary: string, path: string, gone: LockFile): Promise<boolean> {
  const right = await Lock.take(`${path}.${gone.id.slice(0, 8)}`);
  if (!(right instanceof Lock)) {
    await wait(POLL_MS);
    return false;
  }
  try {
    if ((await read(path))?.file?.id !== gone.id) return false;
    await rename(temporary, path);
    return true;
  } finally {
    await right.release();
  }
}

/** Like {@link read}; waits for a file that is not yet a complete lock. */
async function readWhole(path: string): ReturnType<typeof read> {
  for (const end = Date.now() + WRITING_MS; ; await wait(POLL_MS)) {
    const found = await read(path);
    if (!found || found.file || Date.now() > end) return found;
  }
}

/** The content of the file; `file` is absent if it is not a lock, undefined if there is no file. */
async function read(path: string): Promise<{ file?: LockFile } | undefined> {
  try {
    const found = await lstat(path);
    if (!found.isFile() || found.size > MOST_BYTES) return {};
    const json: unknown = parseJsonObject(await readFile(path, 'utf8'), path);
    return isLockFile(json) ? { file: json } : {};
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : {};
  }
}

function isLockFile(json: unknown): json is LockFile {
  if (!isObject(json)) return false;
  const texts = [json.host, json.machine, json.boot, json.namespace, json.started, json.since];
  const hasTexts = texts.every((value) => typeof value === 'string');
  const isId = typeof json.id === 'string' && /^[\w-]{8,64}$/.test(json.id);
  return hasTexts && isId && Number.isSafeInteger(json.pid) && (json.pid as number) > 0;
}
