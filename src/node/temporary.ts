/**
 * Temporary files beside the files that they will become. Each carries its owner in its name, so that a writer removes what
 * ended writers left and never the file of one that still runs.
 */
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ownerTag, tagState } from './owner.ts';

/** A file of an owner on another machine that was not touched for this long is not being written. */
const FORGOTTEN_MS = 24 * 3600 * 1000;

let counter = 0;
/** Files that this thread is writing. */
const inUse = new Set<string>();

/** Gives `work` the path of a temporary file beside `path`, and removes what is left of it afterwards. */
export async function withTemporary<T>(path: string, work: (temporary: string) => Promise<T>): Promise<T> {
  const temporary = join(dirname(path), `.${basename(path)}.${ownerTag()}.${counter++}.tmp`);
  inUse.add(temporary);
  try {
    return await work(temporary);
  } finally {
    await rm(temporary, { force: true }).catch(() => undefined);
    inUse.delete(temporary);
  }
}

/** Removes the temporary files of `path` that nobody is writing any more. */
export async function clearTemporary(path: string): Promise<void> {
  const [folder, prefix] = [dirname(path), `.${basename(path)}.`];
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix) || !name.endsWith('.tmp')) continue;
    const left = join(folder, name);
    const tag = name.slice(prefix.length, -'.tmp'.length).replace(/\.\d+$/, '');
    if (await isLeft(left, tag)) await rm(left, { force: true });
  }
}

async function isLeft(file: string, tag: string): Promise<boolean> {
  if (tag === ownerTag()) return !inUse.has(file);
  const state = tagState(tag);
  if (state !== 'unknown') return state === 'gone';
  const touched = (await stat(file).catch(() => undefined))?.mtimeMs ?? Date.now();
  return Date.now() - touched > FORGOTTEN_MS;
}

/**
 * Makes a folder and those above it; returns the topmost that it made, `undefined` where all were there. Node's own
 * `recursive` never ends below `/proc`, where a folder is there and nothing can be made in it.
 */
export async function makeFolder(path: string, mode = 0o777): Promise<string | undefined> {
  const made = await makeOne(path, mode).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' || dirname(path) === path) throw error;
    const top = await makeFolder(dirname(path), mode);
    return { top, ...(await makeOne(path, mode)) };
  });
  return made.top ?? (made.isNew ? path : undefined);
}

async function makeOne(path: string, mode: number): Promise<{ top?: string; isNew: boolean }> {
  try {
    await mkdir(path, { mode });
    return { isNew: true };
  } catch (error) {
    if ((await stat(path).catch(() => undefined))?.isDirectory()) return { isNew: false };
    throw error;
  }
}
