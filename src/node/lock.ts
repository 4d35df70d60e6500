/**
 * A lock that processes share through a file: it names the process that holds it, since when, and on which machine. It never
 * waits for a heartbeat, so a process that computes for minutes keeps it; a process that was killed loses it, because others
 * see that it is gone.
 */
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { link, lstat, open, readFile, rename, rm } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { isObject, parseJsonObject } from '../io/json.ts';
import { type Owner, type OwnerState, stateOf, thisProcess } from './owner.ts';
import { clearTemporary, withTemporary } from './temporary.ts';

/** A lock file is a few hundred bytes; nothing longer is read. */
const MOST_BYTES = 4096;
const POLL_MS = 20;
/** How long a file that cannot be read may be one that is being written. */
const WRITING_MS = 300;

/** Who holds a lock. */
export interface Holder {
  owner: Owner | undefined;
  /** When it was taken, as ISO 8601; empty where the file does not say. */
  since: string;
  state: OwnerState;
}

interface LockFile extends Owner {
  since: string;
  /** Another one each time, so that nobody mistakes one lock for a later one. */
  id: string;
}

/** A lock that this process holds. */
export class Lock {
  private constructor(
    readonly path: string,
    private readonly id: string,
  ) {}

  /** Takes the lock in the file `path`, or says who has it. Throws where the file cannot be written. */
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
    // Somebody may have removed the file by hand, and another process have taken the lock.
    if ((await read(this.path))?.file?.id === this.id) await rm(this.path, { force: true });
  }

  /** At the very end of a process, where nothing can be waited for. */
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

/** Puts the file in the place of the lock; returns the holder where that is taken. */
async function put(temporary: string, path: string, contents: string): Promise<Holder | undefined> {
  for (;;) {
    if (await claim(temporary, path, contents)) return undefined;
    const found = await readWhole(path);
    if (!found) continue; // Released meanwhile.
    const { file } = found;
    const state = file ? stateOf(file) : 'unknown';
    if (!file || state !== 'gone') return { owner: file, since: file?.since ?? '', state };
    if (await succeed(temporary, path, file)) return undefined;
  }
}

/** Whether the file is in the place of the lock, which was free. */
async function claim(temporary: string, path: string, contents: string): Promise<boolean> {
  try {
    // Whoever sees the lock sees all of it.
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
 * Replaces the lock of a process that is gone. Of several that try, one has the right to, by a lock on this very lock; the
 * others look again.
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

/** As {@link read}; gives a file that is no lock the time to become one. */
async function readWhole(path: string): ReturnType<typeof read> {
  for (const end = Date.now() + WRITING_MS; ; await wait(POLL_MS)) {
    const found = await read(path);
    if (!found || found.file || Date.now() > end) return found;
  }
}

/** What the file says; no `file` where that is not a lock, `undefined` where there is no file. */
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
