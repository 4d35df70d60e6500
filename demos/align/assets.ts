/**
 * Everything the job needs, fetched once when the page opens: the model's folder and the preference pairs. From then on
 * they live in memory, so that nothing is fetched later, not even for a second device.
 */
import {
  type Files,
  fetchFiles,
  memoryFiles,
  type PreferenceRow,
  parseSafetensors,
  readPreferenceRows,
} from '../../src/index.ts';

const WEIGHTS = 'model.safetensors';
const MODEL = ['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json', WEIGHTS];
/** The folder's name in the repository, as the adapter's files name their base model. */
const MODEL_NAME = 'demos/align/model';

export interface Assets {
  model: Files;
  /** Numbers in the model's weights. */
  parameters: number;
  train: PreferenceRow[];
  heldOut: PreferenceRow[];
}

/** Fetches all of it from the folder `base`. */
export async function fetchAssets(base: string): Promise<Assets> {
  const model = fetchFiles(new URL('model', base).href);
  const data = fetchFiles(new URL('data', base).href);
  const rows = async (file: string) => readPreferenceRows(await data.readText(file), file);
  const [train, heldOut, ...contents] = await Promise.all([
    rows('train.jsonl'),
    rows('eval.jsonl'),
    ...MODEL.map(async (path) => [path, await model.read(path)] as const),
  ]);
  const files = memoryFiles(Object.fromEntries(contents), MODEL_NAME);
  const { tensors } = parseSafetensors(await files.read(WEIGHTS), WEIGHTS);
  const sizes = [...tensors.values()].map(({ shape }) => shape.reduce((a, b) => a * b, 1));
  return { model: files, parameters: sizes.reduce((a, b) => a + b, 0), train, heldOut };
}
