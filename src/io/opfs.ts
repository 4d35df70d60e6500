/**
 * The browser's private file system (OPFS): access, atomic writes, and which errors mean that something is missing or that
 * there is no space.
 */

/** The root; undefined if the browser provides none for this page, as in some private windows. */
export async function privateFiles(): Promise<FileSystemDirectoryHandle | undefined> {
  return globalThis.navigator?.storage?.getDirectory?.().catch(() => undefined);
}

/** Writes a file of these parts atomically: a browser replaces it when it is closed. */
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

/** Returns undefined if the error means that something does not exist; rethrows any other error. */
export function missing(error: unknown): undefined {
  if (nameOf(error) !== 'NotFoundError') throw error;
}

/** Ignores the error if it means that there is no space; rethrows any other error. */
export function noRoom(error: unknown): void {
  if (nameOf(error) !== 'QuotaExceededError') throw error;
}

function nameOf(error: unknown): unknown {
  return (error as { name?: unknown } | null)?.name;
}
