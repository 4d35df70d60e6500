/**
 * Everything the job needs, fetched once when the page opens: the model's folder and the preference pairs.
 */
import { fetchFiles, type PreferenceRow, readPreferenceRows } from '../../src/index.ts';
import { type EmbeddedModel, fetchModel } from '../shared/model.ts';

export interface Assets extends EmbeddedModel {
  train: PreferenceRow[];
  heldOut: PreferenceRow[];
}

/** Fetches all of it from the folder `base`. */
export async function fetchAssets(base: string): Promise<Assets> {
  const data = fetchFiles(new URL('data', base).href);
  const rows = async (file: string) => readPreferenceRows(await data.readText(file), file);
  const [model, train, heldOut] = await Promise.all([
    fetchModel(new URL('model', base).href),
    rows('train.jsonl'),
    rows('eval.jsonl'),
  ]);
  return { ...model, train, heldOut };
}
