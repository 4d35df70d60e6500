/**
 * A fully trained model as a Hugging Face folder: its weights in float32, its configuration with that
 * type, and the original files of its tokenizer.
 */
import { exactJsonFile, parseExactJsonObject } from '../io/exact-json.ts';
import type { Files } from '../io/files.ts';
import { writeSafetensors } from '../io/safetensors.ts';
import { carriedFiles, MODEL_CONFIG, MODEL_WEIGHTS } from '../io/weights.ts';
import type { CausalLM } from '../model/causal-lm.ts';

/** The folder's files by name, in writing order: without the last one the folder is not a model. */
export async function modelFiles(model: CausalLM, source: Files): Promise<Record<string, Uint8Array>> {
  const contents = await carriedFiles(source);
  contents[MODEL_WEIGHTS] = writeSafetensors(await model.trainedWeights(), { format: 'pt' });

  const config = parseExactJsonObject(await source.readText(MODEL_CONFIG), `${source.name}/${MODEL_CONFIG}`);
  const type = config.dtype === undefined ? 'torch_dtype' : 'dtype';
  contents[MODEL_CONFIG] = exactJsonFile({ ...config, [type]: 'float32' });
  return contents;
}
