/**
 * Everything the job needs, fetched once when the page opens: the model's folder and the openings of stories, which are
 * those of the demo `align`.
 */
import { type PreferenceRow, readPreferenceRows } from 'webalign/data';
import { fetchFiles } from 'webalign/files';
import { type EmbeddedModel, fetchModel } from '../shared/model.ts';
import { HELD_OUT } from './task.ts';

export interface Assets extends EmbeddedModel {
  /** Notices about the data for the user, one line each. */
  notices: readonly string[];
  /** Training data of a reward model. */
  pairs: PreferenceRow[];
  /** Training prompts. */
  train: string[];
  /** Prompts for evaluating the policy. */
  heldOut: string[];
  /** Stories for testing a typed function. */
  examples: { prompt: string; text: string }[];
}

/** Number of stories for testing a typed function. */
const EXAMPLES = 3;

/** Fetches everything from the demo beside the page at `base`. */
export async function fetchAssets(base: string): Promise<Assets> {
  const data = fetchFiles(new URL('../align/data', base).href);
  const notices: string[] = [];
  const rows = async (file: string) =>
    readPreferenceRows(await data.readText(file), file, (line) => notices.push(line));
  const [model, train, heldOut] = await Promise.all([
    fetchModel(new URL('../align/model', base).href),
    rows('train.jsonl'),
    rows('eval.jsonl'),
  ]);
  const examples = heldOut.slice(0, EXAMPLES);
  return {
    ...model,
    notices,
    pairs: train,
    train: train.map(({ prompt }) => prompt as string),
    heldOut: heldOut.slice(0, HELD_OUT).map(({ prompt }) => prompt as string),
    examples: examples.map(({ prompt, chosen }) => ({ prompt: prompt as string, text: chosen as string })),
  };
}
