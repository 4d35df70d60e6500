/**
 * Everything the job needs, fetched once when the page opens: the model's folder and the openings of stories, which are those
 * of the demo `align`.
 */
import { type PreferenceRow, readPreferenceRows } from 'webalign/data';
import { fetchFiles } from 'webalign/files';
import { type EmbeddedModel, fetchModel } from '../shared/model.ts';
import { HELD_OUT } from './task.ts';

export interface Assets extends EmbeddedModel {
  /** What a person should know about the data, a line each. */
  notices: readonly string[];
  /** From which a reward model can learn. */
  pairs: PreferenceRow[];
  /** Prompts that are learned from. */
  train: string[];
  /** Prompts that the policy is judged on. */
  heldOut: string[];
  /** Stories as a typed function may be tried on. */
  examples: { prompt: string; text: string }[];
}

/** Stories that a typed function is tried on. */
const EXAMPLES = 3;

/** Fetches all of it from the demo beside the page at `base`. */
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
