/**
 * Everything the job needs, fetched once when the page opens: the model's folder and the preference pairs. From then on
 * they live in memory, so that nothing is fetched later, not even for a second device.
 */
import { type PreferenceRow, readPreferenceRows } from '../../src/data/preference-dataset.ts';
import { type Files, fetchFiles, memoryFiles } from '../../src/io/files.ts';

const MODEL = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'model.safetensors',
];
/** The folder's name in the repository, as the adapter's files name their base model. */
const MODEL_NAME = 'demos/align/model';

export interface Assets {
  model: Files;
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
  return { model: memoryFiles(Object.fromEntries(contents), MODEL_NAME), train, heldOut };
}
