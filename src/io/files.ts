/**
 * Folders of a model or adapter as named byte strings, with the same interface in browsers and in Node (whose folders are
 * in `src/node/`). Read-only; does not depend on any format.
 */
import { own } from '../base/lookup.ts';
import { type ByteSource, blobSource, memorySource, readAll } from './byte-source.ts';
import { InputError, MissingFileError, printable, quote } from './errors.ts';

/** A readable folder. Paths are relative to it, with `/`. */
export interface Files {
  /** The folder's name in messages. */
  readonly name: string;
  /** For a repository, whose id is the name: the commit. */
  readonly revision?: string;
  /** Opens a file for reading piece by piece. Throws {@link InputError} if it is missing. */
  open(path: string): Promise<ByteSource>;
  /** Reads the whole file. Throws {@link InputError} if it is missing or cannot be read. */
  read(path: string): Promise<Uint8Array<ArrayBuffer>>;
  /** Reads the whole file as strict UTF-8. */
  readText(path: string): Promise<string>;
  exists(path: string): Promise<boolean>;
  /** Names of the files directly in `folder`; undefined if they cannot be listed. */
  list?(folder: string): Promise<string[] | undefined>;
}

/** A folder in memory: contents by path. */
export function memoryFiles(contents: Record<string, Uint8Array | string>, name = 'memory'): Files {
  const find = async (path: string) => {
    const content = own(contents, path);
    if (content === undefined) return undefined;
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : ownBytes(content);
    return memorySource(bytes, `${name}/${path}`);
  };
  const list = async (folder: string) => namesIn(folder, Object.keys(contents));
  return filesOf(name, find, undefined, list);
}

/** Files that the user chose or dropped in a page, by path. */
export function blobFiles(blobs: Record<string, Blob>, name = 'the chosen files'): Files {
  const find = async (path: string) => {
    const blob = own(blobs, path);
    return blob && blobSource(blob, `${name}/${path}`);
  };
  const list = async (folder: string) => namesIn(folder, Object.keys(blobs));
  return filesOf(name, find, undefined, list);
}

/** The names of those files in `paths` that are directly in `folder`. */
export function namesIn(folder: string, paths: Iterable<string>): string[] {
  const prefix = `${folder}/`;
  return [...paths]
    .filter((path) => path.startsWith(prefix) && !path.includes('/', prefix.length))
    .map((path) => path.slice(prefix.length))
    .filter(staysInside);
}

/**
 * A {@link Files} made from a function that opens a path or returns undefined if it does not exist. It only receives paths
 * inside the folder.
 */
export function filesOf(
  name: string,
  find: (path: string) => Promise<ByteSource | undefined>,
  has: (path: string) => Promise<boolean> = async (path) => (await find(path)) !== undefined,
  list?: (folder: string) => Promise<string[] | undefined>,
): Files {
  const open = async (path: string): Promise<ByteSource> => {
    const source = await find(inside(path, name));
    if (source) return source;
    const what = `there is no file ${quote(path)} in ${name}`;
    throw new MissingFileError(`${name}/${printable(path)}`, what, 'Check the folder');
  };
  const read = async (path: string) => readAll(await open(path));
  const readText = async (path: string): Promise<string> =>
    decoded(decoder(true), `${name}/${path}`, await read(path), false);
  return {
    name,
    open,
    read,
    readText,
    exists: async (path) => has(inside(path, name)),
    ...(list && { list: async (folder) => list(inside(folder, name)) }),
  };
}

/** With `ignoreBOM`, a byte order mark is kept: to transformers it is a part of a template, and an error in JSON. */
const decoder = (ignoreBOM = false) => new TextDecoder('utf-8', { fatal: true, ignoreBOM });

/** Decodes UTF-8, without a byte order mark. Throws {@link InputError} if the bytes are not UTF-8. */
export function decodeText(bytes: Uint8Array, file: string): string {
  return decoded(decoder(), file, bytes, false);
}

/** Bytes that {@link textPieces} reads at a time. */
const PIECE_BYTES = 2 ** 20;

/** The text of a file, piece by piece. Throws {@link InputError} if its bytes are not UTF-8. */
export async function* textPieces(source: ByteSource): AsyncGenerator<string> {
  const reader = decoder();
  for (let at = 0; at < source.size; at += PIECE_BYTES) {
    const length = Math.min(PIECE_BYTES, source.size - at);
    const bytes = await source.read(at, length);
    yield decoded(reader, source.name, bytes, at + length < source.size);
  }
}

/** Bytes of which V8 makes no text, unless some of them are parts of characters. */
const LONGEST_TEXT = 2 ** 29 - 24;

function decoded(reader: TextDecoder, file: string, bytes: Uint8Array, stream: boolean): string {
  try {
    return reader.decode(bytes, { stream });
  } catch (cause) {
    const isTooLong = bytes.length >= LONGEST_TEXT;
    const what = isTooLong ? `its ${bytes.length} bytes are too long for one text` : 'is not UTF-8 text';
    const wayOut = isTooLong
      ? 'Split the file, or write data as JSON Lines or Parquet'
      : 'Save it as UTF-8, or check that it is the right file';
    throw new InputError(file, what, wayOut, { cause });
  }
}

/** The same bytes on an ArrayBuffer (never a shared one); copied only if necessary. */
export function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}

/** Maximum length of a file name on any file system. */
const NAME_CHARACTERS = 255;

/** Whether a path from an untrusted file stays inside the folder: it is relative and has no `..`. */
export function staysInside(path: string): boolean {
  if (/[\\:\p{Cc}]/u.test(path)) return false;
  return path
    .split('/')
    .every((step) => step !== '' && step !== '.' && step !== '..' && step.length <= NAME_CHARACTERS);
}

function inside(path: string, folder: string): string {
  if (staysInside(path)) return path;
  throw new InputError(
    folder,
    `the path ${quote(path)} leads outside the folder`,
    'Use plain relative names',
  );
}
