/** Files that contain a whole model, opened as the folder of that model. */
import { isOwn, own } from '../base/lookup.ts';
import type { ByteSource } from './byte-source.ts';
import { InputError, listed } from './errors.ts';
import { type Files, filesOf } from './files.ts';
import { MODEL_CONFIG, MODEL_WEIGHTS } from './weights.ts';

/** By extension: how to open each as a folder. */
export const SINGLE_FILES: Readonly<Record<string, (file: ByteSource, folder: Files) => Promise<Files>>> = {
  '.gguf': async (file) => (await import('./gguf/files.ts')).ggufFiles(file),
  /** Weights with an unusual name; the rest of the model is in the same folder. */
  '.safetensors': async (file, folder) => {
    const has = async (path: string) => path === MODEL_WEIGHTS || folder.exists(path);
    const find = async (path: string) =>
      path === MODEL_WEIGHTS ? file : (await has(path)) ? folder.open(path) : undefined;
    return filesOf(file.name, find, has, folder.list);
  },
};

/** Whether a file with this name contains a whole model. */
export function isSingleFile(path: string): boolean {
  return isOwn(SINGLE_FILES, endingOf(path));
}

/** The only file in a folder that contains a whole model; undefined if the folder itself is a model, or there is none. */
export function loneModel(folder: string, paths: readonly string[]): string | undefined {
  if (paths.includes(MODEL_CONFIG)) return undefined;
  const found = paths.filter((path) => endingOf(path) === '.gguf' && !path.includes('/'));
  if (found.length < 2) return found[0];
  throw new InputError(folder, `contains several models: ${listed(found)}`, 'Name the file of one of them');
}

/** The folder for the file at `path` of `folder`. */
export async function openSingleFile(folder: Files, path: string): Promise<Files> {
  const open = own(SINGLE_FILES, endingOf(path));
  if (!open) throw new Error(`${path} does not contain a whole model`);
  const below = path.split('/').slice(0, -1).join('/');
  const files = await open(await folder.open(path), below === '' ? folder : subfolder(folder, below));
  return { ...files, ...(folder.revision !== undefined && { revision: folder.revision }) };
}

function subfolder(folder: Files, below: string): Files {
  const at = (path: string) => `${below}/${path}`;
  const has = (path: string) => folder.exists(at(path));
  const find = async (path: string) => ((await has(path)) ? folder.open(at(path)) : undefined);
  const { list } = folder;
  return filesOf(folder.name, find, has, list && ((path) => list(at(path))));
}

function endingOf(path: string): string {
  return /\.\w+$/.exec(path)?.[0].toLowerCase() ?? '';
}
