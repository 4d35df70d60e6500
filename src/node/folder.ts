/**
 * Folders on disk: reading a model or adapter, and atomic writes, so that a file is always either the old or the new one.
 * The only place that accesses the file system.
 */
import { appendFile, open, readdir, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type ByteSource, byteSource, readAll } from '../io/byte-source.ts';
import type { CheckpointStore } from '../io/checkpoint.ts';
import { InputError, reason } from '../io/errors.ts';
import { type Files, filesOf } from '../io/files.ts';
import { type ReferenceCache, storedReferenceCache } from '../io/reference-cache.ts';
import { clearTemporary, makeFolder, withTemporary } from './temporary.ts';

/** Maximum bytes of one read system call. */
const READ_BYTES = 2 ** 30;

/** The folder `dir`. */
export function folderFiles(dir: string): Files {
  return filesOf(
    dir.replace(/(?<=.)\/+$/, ''),
    (path) => fileSource(join(dir, path)),
    async (path) => (await stat(join(dir, path)).catch(() => undefined))?.isFile() ?? false,
    async (folder) => {
      const found = await readdir(join(dir, folder), { withFileTypes: true }).catch(() => []);
      return found.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
    },
  );
}

/** A file on disk, opened only while a piece of it is read; undefined if it does not exist. */
export async function fileSource(path: string): Promise<ByteSource | undefined> {
  const refused = (cause: unknown) =>
    new InputError(path, `cannot be read: ${reason(cause)}`, 'Check the path and its permissions', { cause });
  let size: number;
  try {
    const found = await stat(path);
    // Other kinds of files are opened anyway, to get the system's error message.
    size = found.isDirectory() ? 1 : found.size;
  } catch (cause) {
    if (isMissing(cause)) return undefined;
    throw refused(cause);
  }
  return byteSource(path, size, async (offset, length) => {
    try {
      return await readPiece(path, offset, length);
    } catch (cause) {
      throw refused(cause);
    }
  });
}

async function readPiece(path: string, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const file = await open(path, 'r');
  try {
    const bytes = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const most = Math.min(READ_BYTES, length - filled);
      const { bytesRead } = await file.read(bytes, filled, most, offset + filled);
      if (bytesRead === 0) throw new Error('the file became shorter while it was read');
      filled += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}

/** A file's bytes, of any size; undefined if it does not exist. Throws {@link InputError} if it cannot be read. */
export async function readFileIfAny(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const source = await fileSource(path);
  return source && readAll(source);
}

/**
 * Writes a file atomically: a temporary file in the same folder, flushed to disk, renamed over the old one. Creates the
 * folder if necessary, and removes temporary files of a killed writer of the same file.
 */
export async function writeFileAtomic(path: string, bytes: Uint8Array): Promise<void> {
  const folder = dirname(path);
  try {
    await makeFolder(folder);
    await clearTemporary(path);
    await withTemporary(path, async (temporary) => {
      const file = await open(temporary, 'wx');
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    });
  } catch (cause) {
    throw cannotWrite(path, cause);
  }
  await syncFolder(folder);
}

/** Appends bytes to a file. Throws {@link InputError}. */
export async function addToFile(path: string, bytes: Uint8Array): Promise<void> {
  await appendFile(path, bytes).catch((cause) => {
    throw cannotWrite(path, cause);
  });
}

function cannotWrite(path: string, cause: unknown): InputError {
  const wayOut = 'Check the folder and its free space';
  return new InputError(path, `cannot be written: ${reason(cause)}`, wayOut, { cause });
}

/** Writes several files into `dir`, each atomically, in order. */
export async function writeFiles(dir: string, contents: Record<string, Uint8Array>): Promise<void> {
  for (const [name, bytes] of Object.entries(contents)) await writeFileAtomic(join(dir, name), bytes);
}

/** A checkpoint in the file `path`. */
export function fileCheckpointStore(path: string): CheckpointStore {
  return { read: () => readFileIfAny(path), write: (bytes) => writeFileAtomic(path, bytes) };
}

/** Reference log-probabilities in `dir`, one file per key. */
export function nodeReferenceCache(dir: string): ReferenceCache {
  return storedReferenceCache((key) => fileCheckpointStore(join(dir, `reference-${key}.safetensors`)));
}

/** Makes the rename durable across a power cut; not every system can flush a folder. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

function isMissing(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
