/**
 * The embedded model, fetched once when a page opens and then kept in memory, so that nothing is fetched later, not even
 * for a second device.
 */
import { type Files, fetchFiles, memoryFiles, parseSafetensors } from 'webalign/files';

const WEIGHTS = 'model.safetensors';
const MODEL = ['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json', WEIGHTS];
/** The folder's name in the repository, which the adapter's files use for the base model. */
const MODEL_NAME = 'demos/align/model';

export interface EmbeddedModel {
  model: Files;
  /** Number of weights of the model. */
  parameters: number;
}

/** Fetches the model's folder from this URL. */
export async function fetchModel(address: string): Promise<EmbeddedModel> {
  const folder = fetchFiles(address);
  const contents = await Promise.all(MODEL.map(async (path) => [path, await folder.read(path)] as const));
  const model = memoryFiles(Object.fromEntries(contents), MODEL_NAME);
  const { tensors } = parseSafetensors(await model.read(WEIGHTS), WEIGHTS);
  const sizes = [...tensors.values()].map(({ shape }) => shape.reduce((a, b) => a * b, 1));
  return { model, parameters: sizes.reduce((a, b) => a + b, 0) };
}
