/**
 * The embedded model, fetched once when a page opens. From then on it lives in memory, so that nothing is fetched later, not
 * even for a second device.
 */
import { type Files, fetchFiles, memoryFiles, parseSafetensors } from 'webalign/files';

const WEIGHTS = 'model.safetensors';
const MODEL = ['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json', WEIGHTS];
/** The folder's name in the repository, as the adapter's files name their base model. */
const MODEL_NAME = 'demos/align/model';

export interface EmbeddedModel {
  model: Files;
  /** Numbers in the model's weights. */
  parameters: number;
}

/** Fetches the model's folder at this address. */
export async function fetchModel(address: string): Promise<EmbeddedModel> {
  const folder = fetchFiles(address);
  const contents = await Promise.all(MODEL.map(async (path) => [path, await folder.read(path)] as const));
  const model = memoryFiles(Object.fromEntries(contents), MODEL_NAME);
  const { tensors } = parseSafetensors(await model.read(WEIGHTS), WEIGHTS);
  const sizes = [...tensors.values()].map(({ shape }) => shape.reduce((a, b) => a * b, 1));
  return { model, parameters: sizes.reduce((a, b) => a + b, 0) };
}
