/**
 * Where files come from: a model or adapter folder seen as named byte strings, the same in a browser and in Node
 * (whose folders are in `src/node/`). Reading only; nothing here knows a format.
 */
import { own } from '../base/lookup.ts';
import { type ByteSource, blobSource, memorySource, readAll } from './byte-source.ts';
import { InputError, printable, quote } from './errors.ts';

/** A readable folder. Paths are relative to it, with `/`. */
export interface Files {
  /** The folder's name in messages. */
  readonly name: string;
  /** Where it is a repository's, whose id the name is then: the commit. */
  readonly revision?: string;
  /** The file, to be read piece by piece; {@link InputError} where it is missing. */
  open(path: string): Promise<ByteSource>;
  /** The whole file; {@link InputError} where it is missing or cannot be read. */
  read(path: string): Promise<Uint8Array<ArrayBuffer>>;
  /** The whole file as UTF-8, refused where it is not. */
  readText(path: string): Promise<string>;
  exists(path: string): Promise<boolean>;
  /** Names of the files that lie in `folder` itself; undefined where nothing lists them. */
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

/** Files that a person picked or dropped in a page, by path. */
export function blobFiles(blobs: Record<string, Blob>, name = 'the chosen files'): Files {
  const find = async (path: string) => {
    const blob = own(blobs, path);
    return blob && blobSource(blob, `${name}/${path}`);
  };
  const list = async (folder: string) => namesIn(folder, Object.keys(blobs));
  return filesOf(name, find, undefined, list);
}

/** Of all `paths` the names of the files that lie in `folder` itself. */
export function namesIn(folder: string, paths: Iterable<string>): string[] {
  const prefix = `${folder}/`;
  return [...paths]
    .filter((path) => path.startsWith(prefix) && !path.includes('/', prefix.length))
    .map((path) => path.slice(prefix.length))
    .filter(staysInside);
}

/**
 * A {@link Files} from one function that finds a path or answers `undefined` where there is none. It sees only paths that
 * stay inside the folder.
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
    throw new InputError(`${name}/${printable(path)}`, what, 'Check the folder');
  };
  const read = async (path: string) => readAll(await open(path));
  const readText = async (path: string): Promise<string> => decodeText(await read(path), `${name}/${path}`);
  return {
    name,
    open,
    read,
    readText,
    exists: async (path) => has(inside(path, name)),
    ...(list && { list: async (folder) => list(inside(folder, name)) }),
  };
}

/** UTF-8 to text; {@link InputError} where the bytes are not UTF-8. */
export function decodeText(bytes: Uint8Array, file: string): string {
  return decoded(new TextDecoder('utf-8', { fatal: true }), file, bytes, false);
}

/** Bytes that {@link textPieces} reads at a time. */
const PIECE_BYTES = 2 ** 20;

/** The text of a file piece by piece; {@link InputError} where its bytes are not UTF-8. */
export async function* textPieces(source: ByteSource): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for (let at = 0; at < source.size; at += PIECE_BYTES) {
    const length = Math.min(PIECE_BYTES, source.size - at);
    const bytes = await source.read(at, length);
    yield decoded(decoder, source.name, bytes, at + length < source.size);
  }
}

/** Bytes of which V8 makes no text, unless some of them are parts of characters. */
const LONGEST_TEXT = 2 ** 29 - 24;

function decoded(decoder: TextDecoder, file: string, bytes: Uint8Array, stream: boolean): string {
  try {
    return decoder.decode(bytes, { stream });
  } catch (cause) {
    const isTooLong = bytes.length >= LONGEST_TEXT;
    const what = isTooLong ? `its ${bytes.length} bytes are too long for one text` : 'is not UTF-8 text';
    const wayOut = isTooLong
      ? 'Split the file, or write data as JSON Lines or Parquet'
      : 'Save it as UTF-8, or check that it is the right file';
    throw new InputError(file, what, wayOut, { cause });
  }
}

/** The same bytes over an ArrayBuffer of one's own kind (never a shared one); copied only where they must be. */
export function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}

/** Most characters of a file's name in any file system. */
const NAME_CHARACTERS = 255;

/** Whether a path, which may come out of a hostile file, leads to a file of the folder: not an absolute one, none with `..`. */
export function staysInside(path: string): boolean {
  if (/[\\:\p{Cc}]/u.test(path)) return false;
  return path
    .split('/')
    .every((step) => step !== '' && step !== '.' && step !== '..' && step.length <= NAME_CHARACTERS);
}

function inside(path: string, folder: string): string {
  if (staysInside(path)) return path;
  throw new InputError(folder, `the path ${quote(path)} leads out of the folder`, 'Use plain relative names');
}
