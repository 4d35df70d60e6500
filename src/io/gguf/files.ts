/**
 * Presents a GGUF file as a Hugging Face folder: configuration and tokenizer are generated from its metadata on request,
 * the weights are read in place. No other code depends on the file's format.
 */
import { own } from '../../base/lookup.ts';
import { type ByteSource, memorySource } from '../byte-source.ts';
import { InputError, quote } from '../errors.ts';
import { exactJsonFile } from '../exact-json.ts';
import { type Files, filesOf } from '../files.ts';
import type { Json, JsonObject } from '../json.ts';
import { GENERATION_CONFIG, MODEL_CONFIG, MODEL_GGUF } from '../weights.ts';
import { FLOAT_FIELDS, ggufConfig } from './config.ts';
import { GgufMetadata } from './metadata.ts';
import { openGguf } from './reader.ts';
import { type GgufTokenizer, ggufTokenizer } from './tokenizer.ts';

/** The folder for `source`. Throws {@link InputError} if it is damaged or not a complete model. */
export async function ggufFiles(source: ByteSource): Promise<Files> {
  const gguf = await openGguf(source);
  const metadata = new GgufMetadata(gguf.metadata, source.name);
  const type = metadata.string('general.type') ?? 'model';
  if (type !== 'model') {
    const what = `contains ${type === 'adapter' ? 'an adapter' : `data of type ${quote(type)}`}, not a model`;
    throw new InputError(source.name, what, 'Give the GGUF of the model');
  }
  const count = metadata.integer('split.count') ?? 1;
  if (count > 1) {
    const what = `is one of ${count} files that the model is split into`;
    throw new InputError(source.name, what, "Merge them with llama.cpp's llama-gguf-split --merge");
  }
  let made: GgufTokenizer | undefined;
  const tokenizer = () => {
    made ??= ggufTokenizer(metadata);
    return made;
  };
  const config = () => ggufConfig(gguf, source.name);
  const contents: Record<string, () => Promise<Json | undefined> | Json | undefined> = {
    [MODEL_CONFIG]: config,
    'tokenizer.json': () => tokenizer()?.tokenizer,
    'tokenizer_config.json': () => tokenizer()?.config,
    [GENERATION_CONFIG]: async () => generation(await config()),
  };
  const paths = new Set([MODEL_GGUF, MODEL_CONFIG, GENERATION_CONFIG]);
  if (metadata.has('tokenizer.ggml.model')) paths.add('tokenizer.json').add('tokenizer_config.json');
  const find = async (path: string): Promise<ByteSource | undefined> => {
    if (path === MODEL_GGUF) return source;
    const content = paths.has(path) ? await own(contents, path)?.() : undefined;
    if (content === undefined) return undefined;
    // A vocabulary may contain a token with the name of a field.
    const floats = path === MODEL_CONFIG ? FLOAT_FIELDS : undefined;
    return memorySource(exactJsonFile(content, floats), `${source.name}/${path}`);
  };
  return filesOf(
    source.name,
    find,
    async (path) => paths.has(path),
    async () => [],
  );
}

/** The part of the configuration that generation uses. */
function generation({ bos_token_id, eos_token_id, pad_token_id }: JsonObject): JsonObject {
  const fields = { bos_token_id, eos_token_id, pad_token_id };
  return Object.fromEntries(Object.entries(fields).filter(([, id]) => id !== undefined)) as JsonObject;
}
