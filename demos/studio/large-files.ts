/**
 * Files that are too large for memory: written into the browser's private file system and handed to the page from there. One is
 * kept at a time, because a download reads it for as long as it takes; the next one takes its place. A browser that stores no files gets
 * smaller ones from memory.
 */
import { InputError } from 'webalign';
import { refuseWithoutRoom } from './library.ts';

const FOLDER = 'webalign-studio-exports';
/** Bytes of a file that is made in memory where the browser stores none. */
const MOST_IN_MEMORY = 512 * 2 ** 20;

/** Writes the pieces into a file of this name. Throws `InputError` where there is no room, or the browser keeps nothing. */
export async function writeLargeFile(
  name: string,
  bytes: number,
  pieces: AsyncIterable<Uint8Array>,
): Promise<File> {
  const folder = await emptyFolder().catch((cause: unknown) => {
    if (bytes <= MOST_IN_MEMORY) return undefined;
    const what =
      'is larger than 512 MiB, so it is written to the storage of this browser first, which stores no files for this page';
    throw new InputError(name, what, 'Export the adapter, and merge it with webalign export', { cause });
  });
  if (!folder) return fileInMemory(name, pieces);
  await refuseWithoutRoom(name, bytes);
  const handle = await folder.getFileHandle(name, { create: true });
  const writable = await handle.createWritable();
  try {
    for await (const piece of pieces) await writable.write(piece as Uint8Array<ArrayBuffer>);
    await writable.close();
  } catch (cause) {
    await writable.abort().catch(() => undefined);
    await removeLargeFiles();
    if (cause instanceof InputError) throw cause;
    throw new InputError(name, 'could not be written into this browser', 'Make room on the disk', { cause });
  }
  return handle.getFile();
}

/** Deletes what an earlier export left. */
export async function removeLargeFiles(): Promise<void> {
  const root = await navigator.storage.getDirectory();
  await root.removeEntry(FOLDER, { recursive: true }).catch(() => undefined);
}

async function fileInMemory(name: string, pieces: AsyncIterable<Uint8Array>): Promise<File> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  // A piece may be a view of memory that the next one overwrites.
  for await (const piece of pieces) parts.push(piece.slice());
  return new File(parts, name);
}

async function emptyFolder(): Promise<FileSystemDirectoryHandle> {
  await removeLargeFiles();
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle(FOLDER, { create: true });
}
