/**
 * Files that are too large for memory: written into the browser's private file system and handed to the page from there. One is
 * kept at a time, because a download reads it for as long as it takes; the next one takes its place.
 */
import { InputError } from 'webalign';
import { refuseWithoutRoom } from './library.ts';

const FOLDER = 'webalign-studio-exports';

/** Writes the pieces into a file of this name. Throws `InputError` where there is no room, or the browser keeps nothing. */
export async function writeLargeFile(
  name: string,
  bytes: number,
  pieces: AsyncIterable<Uint8Array>,
): Promise<File> {
  const folder = await emptyFolder(name);
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

async function emptyFolder(name: string): Promise<FileSystemDirectoryHandle> {
  try {
    await removeLargeFiles();
    const root = await navigator.storage.getDirectory();
    return await root.getDirectoryHandle(FOLDER, { create: true });
  } catch (cause) {
    const what = 'is written to the storage of this browser first, which keeps nothing for this page';
    throw new InputError(name, what, 'Export the adapter, and merge it with webalign export', { cause });
  }
}
