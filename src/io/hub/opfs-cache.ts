/**
 * The cache of a page: the browser's private file system, which survives reloads and restarts. Files are stored in
 * segments, because browsers copy a whole file in order to write to it; each segment is stored as soon as it is complete,
 * so that a closed tab loses at most one. Tabs take turns with a lock. If nothing can be stored, memory is used instead,
 * and the user is told.
 */
import { type ByteSource, blobSource } from '../byte-source.ts';
import { missing, noRoom, privateFiles, writeWhole } from '../opfs.ts';
import type { PartialFile } from '../partial-file.ts';
import { CacheWriteError, type HubCache, memoryHubCache, repositoryFolder } from './cache.ts';

/** The folders of all repositories and of files from URLs. */
const HUB = 'webalign-hub';
const ADDRESSES = 'webalign-addresses';
/** Bytes per segment. */
const SEGMENT = 2 ** 24;
/** Marker file, written when all segments are present and the hash was correct. */
const WHOLE = 'whole';

/** The page's cache; undefined if the browser has no private file system, as in some private windows. */
export async function opfsHubCache(): Promise<HubCache | undefined> {
  const root = await opfsOfCaches();
  return root && new OpfsCache(root, HUB, memoryHubCache());
}

/** The page's cache for files from URLs; if there is no space, they are read without being stored. */
export async function opfsAddressCache(): Promise<HubCache | undefined> {
  const root = await opfsOfCaches();
  return root && new OpfsCache(root, ADDRESSES, undefined);
}

/** Deletes all model files stored for this origin: from the hub and from URLs. */
export async function clearPageCache(): Promise<void> {
  const root = await opfsOfCaches();
  for (const name of [HUB, ADDRESSES]) await root?.removeEntry(name, { recursive: true }).catch(missing);
}

/** The browser's file system, if tabs can lock it. */
async function opfsOfCaches(): Promise<FileSystemDirectoryHandle | undefined> {
  const root = await privateFiles();
  return root && 'locks' in navigator ? root : undefined;
}

class OpfsCache implements HubCache {
  constructor(
    private readonly root: FileSystemDirectoryHandle,
    /** The folder's name in the file system. */
    private readonly name: string,
    /** The fallback if there is no space. */
    private readonly memory: HubCache | undefined,
  ) {}

  async readText(repository: string, path: string): Promise<string | undefined> {
    const { folder, name } = this.place(repository, path);
    const handle = await (await this.folder(folder))?.getFileHandle(name).catch(missing);
    return handle && (await (await handle.getFile()).text());
  }

  async writeText(repository: string, path: string, text: string): Promise<void> {
    const { folder, name } = this.place(repository, path);
    // Without space, this only causes another request later.
    await this.made(folder)
      .then((made) => writeWhole(made, name, [text]))
      .catch(noRoom);
  }

  async open(file: Parameters<HubCache['open']>[0]): Promise<ByteSource | undefined> {
    if (file.blob === undefined) return undefined;
    const folder = await this.folder(this.blobFolder(file.repository, file.blob));
    const isWhole = await folder?.getFileHandle(WHOLE).then(() => true, missing);
    if (!folder || !isWhole) return this.memory?.open(file);
    const source = blobSource(new Blob(await segments(folder)), `${file.repository}/${file.path}`);
    return file.size === undefined || source.size === file.size ? source : undefined;
  }

  async add(...[file, fill, watch]: Parameters<HubCache['add']>): Promise<ByteSource> {
    const options = watch.signal ? { signal: watch.signal } : {};
    return navigator.locks.request(`${this.name}/${file.blob}`, options, async () => {
      const found = await this.open(file);
      if (found) return found;
      const folder = await this.made(this.blobFolder(file.repository, file.blob));
      const partial = await SegmentedFile.open(folder);
      try {
        await fill(partial).finally(() => partial.flush());
        await writeWhole(folder, WHOLE, []);
      } catch (error) {
        noRoom(error);
        await partial.reset();
        const what = "does not fit into the browser's storage";
        if (!this.memory) throw new CacheWriteError(file.path, what, 'Free some space and try again');
        watch.onNotice?.(`${file.path} ${what}: it is kept in memory until the page is closed`);
        return this.memory.add(file, fill, watch);
      }
      const kept = await this.open(file);
      if (kept) return kept;
      const where = `${file.repository}/${file.path}`;
      throw new CacheWriteError(
        where,
        "was removed from the browser's storage",
        'Free some space and try again',
      );
    });
  }

  async remove(repository: string): Promise<void> {
    const folder = await this.folder([this.name]);
    await folder?.removeEntry(repositoryFolder(repository), { recursive: true }).catch(missing);
  }

  private blobFolder(repository: string, blob: string): string[] {
    return [this.name, repositoryFolder(repository), 'blobs', blob];
  }

  private place(repository: string, path: string): { folder: string[]; name: string } {
    const steps = path.split('/');
    return {
      folder: [this.name, repositoryFolder(repository), ...steps.slice(0, -1)],
      name: steps.at(-1)!,
    };
  }

  private async folder(steps: readonly string[]): Promise<FileSystemDirectoryHandle | undefined> {
    let folder: FileSystemDirectoryHandle | undefined = this.root;
    for (const step of steps) folder = await folder?.getDirectoryHandle(step).catch(missing);
    return folder;
  }

  private async made(steps: readonly string[]): Promise<FileSystemDirectoryHandle> {
    let folder = this.root;
    for (const step of steps) folder = await folder.getDirectoryHandle(step, { create: true });
    return folder;
  }
}

/** A download in progress: the written segments, and the bytes of the next one. */
class SegmentedFile implements PartialFile {
  private waiting: Uint8Array<ArrayBuffer>[] = [];
  private waitingBytes = 0;

  private constructor(
    private readonly folder: FileSystemDirectoryHandle,
    private written: File[],
  ) {}

  static async open(folder: FileSystemDirectoryHandle): Promise<SegmentedFile> {
    return new SegmentedFile(folder, await segments(folder));
  }

  get size(): number {
    return this.written.reduce((sum, { size }) => sum + size, this.waitingBytes);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const all = new Blob([...this.written, ...this.waiting]);
    return new Uint8Array(await all.slice(offset, offset + length).arrayBuffer());
  }

  async append(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.waiting.push(bytes);
    this.waitingBytes += bytes.byteLength;
    if (this.waitingBytes >= SEGMENT) await this.flush();
  }

  /** Writes the pending bytes. */
  async flush(): Promise<void> {
    if (this.waitingBytes === 0) return;
    const file = await writeWhole(this.folder, segmentName(this.written.length), this.waiting);
    this.written.push(file);
    this.waiting = [];
    this.waitingBytes = 0;
  }

  async reset(): Promise<void> {
    // Starting with the last, so that the remaining ones are always a prefix of the file.
    for (const { name } of this.written.reverse()) await this.folder.removeEntry(name).catch(missing);
    this.written = [];
    this.waiting = [];
    this.waitingBytes = 0;
  }
}

/** The existing segments, in order. */
async function segments(folder: FileSystemDirectoryHandle): Promise<File[]> {
  const files: File[] = [];
  for (;;) {
    const handle = await folder.getFileHandle(segmentName(files.length)).catch(missing);
    if (!handle) return files;
    files.push(await handle.getFile());
  }
}

function segmentName(index: number): string {
  return String(index).padStart(6, '0');
}
