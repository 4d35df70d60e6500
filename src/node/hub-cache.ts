/**
 * The cache of Hugging Face's own tools, on disk: downloads are shared with them in both directions.
 *
 *     models--owner--name/blobs/NAME                  contents, by their hash
 *     models--owner--name/snapshots/COMMIT/path       links into blobs/
 *     models--owner--name/refs/REVISION               the last known commit of a branch
 *
 * A blob is always complete. During a download it is called `NAME.OWNER.incomplete` and belongs to one thread of one
 * process; if that has ended, another one continues its file. No lock is needed to prevent damage, only to prevent
 * duplicate downloads; for that, the file of a living owner serves as the lock while it grows.
 */
import { randomUUID } from 'node:crypto';
import {
  type FileHandle,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { unlessAborted } from '../io/abort.ts';
import type { ByteSource } from '../io/byte-source.ts';
import { reason } from '../io/errors.ts';
import {
  type CachedFile,
  CacheWriteError,
  type HubCache,
  repositoryFolder,
  type Watch,
  type WholeFile,
} from '../io/hub/cache.ts';
import type { PartialFile } from '../io/partial-file.ts';
import { fileSource } from './folder.ts';
import { hubCacheFolder } from './hub-environment.ts';
import { ownerTag, tagState } from './owner.ts';
import { makeFolder } from './temporary.ts';

/** Other processes stop waiting for a download if its file has not grown for this long. */
const STALLED_MS = 30_000;
const POLL_MS = 200;

/** The cache in `folder`; default: the folder of Hugging Face's tools. */
export function nodeHubCache(folder: string = hubCacheFolder()): HubCache {
  return new NodeHubCache(folder);
}

/** Downloads in progress in this thread, by blob. */
const underWay = new Map<string, Promise<void>>();

class NodeHubCache implements HubCache {
  constructor(private readonly root: string) {}

  private path(repository: string, ...steps: string[]): string {
    return join(this.root, repositoryFolder(repository), ...steps);
  }

  readText(repository: string, path: string): Promise<string | undefined> {
    return readFile(this.path(repository, path), 'utf8').catch(() => undefined);
  }

  async writeText(repository: string, path: string, text: string): Promise<void> {
    const target = this.path(repository, path);
    const temporary = `${target}.${randomUUID()}.tmp`;
    try {
      await makeFolder(dirname(target));
      await writeFile(temporary, text);
      await rename(temporary, target);
    } catch {
      // The cache may belong to another user and be read-only; then the hub is asked again later.
      await rm(temporary, { force: true }).catch(() => undefined);
    }
  }

  async open(file: CachedFile): Promise<ByteSource | undefined> {
    const pointer = this.path(file.repository, 'snapshots', file.commit, file.path);
    if (await hasSize(pointer, file.size)) return fileSource(pointer);
    if (file.blob === undefined) return undefined;
    const blob = this.path(file.repository, 'blobs', file.blob);
    if (!(await hasSize(blob, file.size))) return undefined;
    await link(blob, pointer);
    return fileSource(pointer);
  }

  async add(
    file: WholeFile,
    fill: (partial: PartialFile) => Promise<void>,
    watch: Watch,
  ): Promise<ByteSource> {
    const blob = this.path(file.repository, 'blobs', file.blob);
    // One after the other. A failure of the previous one does not matter: it may have been aborted, or have had a shorter
    // timeout.
    const before = underWay.get(blob)?.catch(() => undefined);
    const fetching = Promise.resolve(before).then(async () => {
      if (!(await hasSize(blob, file.size))) await fetchBlob(blob, file, fill, watch);
    });
    underWay.set(blob, fetching);
    const ended = fetching.finally(() => underWay.get(blob) === fetching && underWay.delete(blob));
    // The previous download may take long.
    await unlessAborted(ended, watch.signal);
    const found = await this.open(file);
    if (found) return found;
    throw new CacheWriteError(
      blob,
      'was removed right after the download',
      'Check which program clears the cache, and try again',
    );
  }

  async remove(repository: string): Promise<void> {
    await rm(this.path(repository), { recursive: true, force: true }).catch(() => undefined);
  }
}

async function fetchBlob(
  blob: string,
  { path, size }: WholeFile,
  fill: (partial: PartialFile) => Promise<void>,
  watch: Watch,
): Promise<void> {
  await writing(blob, () => makeFolder(dirname(blob)));
  await othersOn(blob, path, watch);
  if (await hasSize(blob, size)) return;
  const own = `${blob}.${ownerTag()}.incomplete`;
  await adopt(blob, own);
  const partial = await DiskPartial.open(own);
  try {
    await fill(partial);
    await partial.sync();
  } finally {
    await partial.close();
    // Nothing useful arrived, or it was wrong.
    if (partial.size === 0 && size > 0) await rm(own, { force: true });
  }
  await writing(blob, () => rename(own, blob));
}

/** Waits while another process downloads the blob and makes progress. */
async function othersOn(blob: string, path: string, { signal, onNotice }: Watch): Promise<void> {
  for (let told = false; ; told = true) {
    const others = (await incomplete(blob)).filter(({ owner, isAlive }) => isAlive && owner !== ownerTag());
    const ages = await Promise.all(others.map(async ({ file }) => Date.now() - (await changed(file))));
    if (!ages.some((age) => age < STALLED_MS)) return;
    if (!told) onNotice?.(`${path} is being downloaded by another process: waiting for it`);
    await wait(POLL_MS, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
  }
}

/** Takes over the files of ended owners: continues the largest one and removes the others. */
async function adopt(blob: string, own: string): Promise<void> {
  const left = (await incomplete(blob)).filter(({ owner, isAlive }) => !isAlive || owner === ownerTag());
  const sized = await Promise.all(
    left.map(async ({ file }) => ({ file, size: (await stat(file).catch(() => undefined))?.size ?? -1 })),
  );
  const [best, ...others] = sized.sort((a, b) => b.size - a.size);
  for (const { file } of others) await rm(file, { force: true });
  // Another process may be faster; then there is nothing to continue.
  if (best && best.file !== own) await rename(best.file, own).catch(() => undefined);
}

interface Incomplete {
  file: string;
  owner: string;
  isAlive: boolean;
}

/** Unfinished downloads of the blob, in progress or interrupted. Owners on other machines count as running. */
async function incomplete(blob: string): Promise<Incomplete[]> {
  const [folder, prefix] = [dirname(blob), `${basename(blob)}.`];
  const names = await readdir(folder).catch(() => [] as string[]);
  return names
    .filter((name) => name.startsWith(prefix) && name.endsWith('.incomplete'))
    .map((name) => {
      const owner = name.slice(prefix.length, -'.incomplete'.length);
      return { file: join(folder, name), owner, isAlive: tagState(owner) !== 'gone' };
    });
}

/** A blob during its download, on disk. Appended bytes outlive the process, however it ends. */
class DiskPartial implements PartialFile {
  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    private filled: number,
  ) {}

  static async open(path: string): Promise<DiskPartial> {
    return writing(path, async () => {
      const file = await open(path, 'a+');
      return new DiskPartial(path, file, (await file.stat()).size);
    });
  }

  get size(): number {
    return this.filled;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    const { bytesRead } = await this.file.read(bytes, 0, length, offset);
    return bytes.subarray(0, bytesRead);
  }

  async append(bytes: Uint8Array): Promise<void> {
    await writing(this.path, () => this.file.appendFile(bytes));
    this.filled += bytes.byteLength;
  }

  async reset(): Promise<void> {
    await writing(this.path, () => this.file.truncate(0));
    this.filled = 0;
  }

  async sync(): Promise<void> {
    await writing(this.path, () => this.file.sync());
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

/** Links the blob into the snapshot. If the system does not support links, the blob itself is moved there, as in Python. */
async function link(blob: string, pointer: string): Promise<void> {
  const temporary = `${pointer}.${randomUUID()}.tmp`;
  await writing(pointer, async () => {
    await makeFolder(dirname(pointer));
    const linked = await symlink(relative(dirname(pointer), blob), temporary).then(
      () => true,
      () => false,
    );
    await rename(linked ? temporary : blob, pointer);
  });
}

async function hasSize(path: string, size: number | undefined): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true && (size === undefined || found.size === size);
}

/** The time when the file last grew, in milliseconds; 0 if it does not exist. */
async function changed(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.mtimeMs ?? 0;
}

async function writing<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const isFull = ['ENOSPC', 'EDQUOT'].includes((cause as NodeJS.ErrnoException).code ?? '');
    const what = isFull ? 'cannot be written: the disk is full' : `cannot be written: ${reason(cause)}`;
    const wayOut = isFull
      ? 'Free some space, or set HF_HUB_CACHE to a folder on another disk; the received bytes are kept'
      : 'Check the folder, or set HF_HUB_CACHE to another one';
    throw new CacheWriteError(path, what, wayOut, { cause });
  }
}
