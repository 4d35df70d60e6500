/**
 * Everything the job needs, fetched once when the page opens: the model's folder and the preference pairs.
 */
import { type PreferenceRow, readPreferenceRows } from 'webalign/data';
import { fetchFiles } from 'webalign/files';
import { type EmbeddedModel, fetchModel } from '../shared/model.ts';

export interface Assets extends EmbeddedModel {
  /** Notices about the data for the user, one line each. */
  notices: readonly string[];
  train: PreferenceRow[];
  heldOut: PreferenceRow[];
}

/** Fetches everything from the folder `base`. */
export async function fetchAssets(base: string): Promise<Assets> {
  const data = fetchFiles(new URL('data', base).href);
  const notices: string[] = [];
  const rows = async (file: string) =>
    readPreferenceRows(await data.readText(file), file, (line) => notices.push(line));
  const [model, train, heldOut] = await Promise.all([
    fetchModel(new URL('model', base).href),
    rows('train.jsonl'),
    rows('eval.jsonl'),
  ]);
  return { ...model, train, heldOut, notices };
}
