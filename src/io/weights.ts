/**
 * The weights of a Hugging Face folder: `model.safetensors`, or the shards listed in `model.safetensors.index.json`, or the
 * GGUF file that represents a folder; the first that exists, as in transformers (5.24). Returns tensors as stored; the
 * model decides which of them it needs, and in which shape. Also reads the folder's other files, by name.
 */
import { InputError, listed, quote } from './errors.ts';
import { type Files, staysInside } from './files.ts';
import { isObject, parsePythonObject } from './json.ts';
import { openSafetensors, type TensorSource } from './safetensors.ts';

export const MODEL_CONFIG = 'config.json';
export const GENERATION_CONFIG = 'generation_config.json';
export const MODEL_WEIGHTS = 'model.safetensors';
export const MODEL_INDEX = 'model.safetensors.index.json';
export const MODEL_GGUF = 'model.gguf';
/** Chat templates beside that of the model (`CHAT_TEMPLATE_DIR` of transformers). */
export const TEMPLATE_FOLDER = 'additional_chat_templates';
/** Files that a model derived from this one keeps unchanged, besides configuration and weights. */
const CARRIED = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  GENERATION_CONFIG,
];

/** The existing files of the tokenizer and of generation. */
export async function carriedFiles(source: Files): Promise<Record<string, Uint8Array>> {
  const contents: Record<string, Uint8Array> = {};
  const templates = (await source.list?.(TEMPLATE_FOLDER)) ?? [];
  const names = [...CARRIED, ...templates.map((name) => `${TEMPLATE_FOLDER}/${name}`)];
  for (const name of names) if (await source.exists(name)) contents[name] = await source.read(name);
  return contents;
}

/** The file that identifies a folder's weights; the usual names are tried first. */
export async function weightsFile(files: Files): Promise<string> {
  for (const path of [MODEL_WEIGHTS, MODEL_INDEX, MODEL_GGUF]) if (await files.exists(path)) return path;
  return MODEL_WEIGHTS;
}

/** Formats of weights that run code when they are read. */
const PICKLES = ['pytorch_model.bin', 'pytorch_model.bin.index.json', 'model.pth'];

async function withoutWeights(files: Files): Promise<InputError> {
  const there = await Promise.all(PICKLES.map(async (path) => ((await files.exists(path)) ? [path] : [])));
  const [pickle] = there.flat();
  const where = `${files.name}/${MODEL_WEIGHTS}`;
  if (pickle === undefined) {
    return new InputError(
      where,
      `there is no file ${quote(MODEL_WEIGHTS)} in ${files.name}`,
      'Check the folder',
    );
  }
  const what = `the weights are in ${pickle}, a Python pickle, which is not supported`;
  return new InputError(
    where,
    what,
    'Load the model with transformers and save it again, which writes safetensors',
  );
}

/** All tensors of the model in `files`, by name; their bytes are read on request. */
export async function openWeights(files: Files): Promise<Map<string, TensorSource>> {
  const file = await weightsFile(files);
  if (file === MODEL_GGUF) {
    const { openGguf } = await import('./gguf/reader.ts');
    return (await openGguf(await files.open(file))).tensors;
  }
  const read = async (path: string) => (await openSafetensors(await files.open(path))).tensors;
  if (file === MODEL_WEIGHTS) {
    if (!(await files.exists(file))) throw await withoutWeights(files);
    return read(file);
  }

  const index = `${files.name}/${MODEL_INDEX}`;
  const places = parsePythonObject(await files.readText(MODEL_INDEX), index).weight_map;
  if (!isObject(places)) throw new InputError(index, '"weight_map" is not an object', 'Fetch the file again');
  const shards = [...new Set(Object.values(places))].map((shard) => {
    if (typeof shard === 'string' && staysInside(shard)) return shard;
    const what = `"weight_map" names ${quote(shard)}, which is not a file inside the folder`;
    throw new InputError(index, what, 'Fetch the file again');
  });
  const tensors = new Map<string, TensorSource>();
  for (const shard of shards.sort()) {
    for (const [name, tensor] of await read(shard)) {
      const twice = tensors.get(name);
      if (twice) throw new InputError(tensor.where, `is in ${twice.where} as well`, 'Fetch the shards again');
      tensors.set(name, tensor);
    }
  }
  const missing = Object.keys(places).filter((name) => !tensors.has(name));
  if (missing.length > 0)
    throw new InputError(index, `the shards lack ${listed(missing)}`, 'Fetch the shards again');
  return tensors;
}
