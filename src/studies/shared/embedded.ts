/**
 * The inputs of studies of the embedded model, read without a device.
 */
import { readPreferenceRows } from 'webalign';
import { contentHash } from 'webalign/files';
import { folderFiles } from 'webalign/node';
import { readText } from '../../cli/open.ts';
import { EMBEDDED } from '../../cli/package.ts';

/** Hash of the model's files. */
export async function embeddedFingerprint(): Promise<string> {
  const files = folderFiles(EMBEDDED.model);
  const names = ['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json'];
  return contentHash(...(await Promise.all(names.map((name) => files.read(name)))));
}

/** The first openings that are not in any training pair. */
export async function heldOutOpenings(count: number): Promise<string[]> {
  const rows = readPreferenceRows(await readText(EMBEDDED.evaluation), EMBEDDED.evaluation);
  return rows.slice(0, count).map(({ prompt }) => prompt as string);
}
