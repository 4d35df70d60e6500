/**
 * Temporary files beside the files that they will replace. Each has its owner in its name, so that a writer removes the
 * files of ended writers and never that of a running one.
 */
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ownerTag, tagState } from './owner.ts';

/** After this time without a change, a file of an owner on another machine counts as abandoned. */
const FORGOTTEN_MS = 24 * 3600 * 1000;

let counter = 0;
/** Files that this thread is writing. */
const inUse = new Set<string>();

/** Calls `work` with the path of a temporary file beside `path`, and removes its remains afterwards. */
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

/** Removes abandoned temporary files of `path`. */
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
 * Creates a folder and its parents; returns the topmost that it created, undefined if all existed. Node's own `recursive`
 * never returns below `/proc`, where a folder exists but nothing can be created in it.
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
