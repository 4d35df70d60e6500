/**
 * The browser's private file system (OPFS): whether there is one, a write that is whole or not at all, and which errors mean that
 * something is missing or finds no room.
 */

/** Its root; undefined where the browser has none for this page, as in some private windows. */
export async function privateFiles(): Promise<FileSystemDirectoryHandle | undefined> {
  return globalThis.navigator?.storage?.getDirectory?.().catch(() => undefined);
}

/** A file of these parts, whole or not at all: a browser puts it in place when it is closed. */
export async function writeWhole(
  folder: FileSystemDirectoryHandle,
  name: string,
  parts: readonly BlobPart[],
): Promise<File> {
  const handle = await folder.getFileHandle(name, { create: true });
  const stream = await handle.createWritable();
  try {
    await stream.write(new Blob([...parts]));
    await stream.close();
  } catch (error) {
    await stream.abort().catch(() => undefined);
    throw error;
  }
  return handle.getFile();
}

/** What is not there is undefined; anything else is an error still. */
export function missing(error: unknown): undefined {
  if (nameOf(error) !== 'NotFoundError') throw error;
}

/** Lets pass that there is no room; anything else is an error still. */
export function noRoom(error: unknown): void {
  if (nameOf(error) !== 'QuotaExceededError') throw error;
}

function nameOf(error: unknown): unknown {
  return (error as { name?: unknown } | null)?.name;
}
