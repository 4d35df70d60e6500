/** What a model would need that a person has dropped or chosen as files. */
import { Tokenizer } from 'webalign';
import { openSource } from 'webalign/files';
import type { Gpu } from 'webalign/gpu';
import { describeModel } from 'webalign/models';
import { nameOfFiles } from './library.ts';
import type { ModelPlan } from './messages.ts';
import { planModel } from './planning.ts';

/** Reads none of its weights. Throws `InputError` for a model that cannot be read. */
export async function planFiles(gpu: Gpu, files: readonly File[]): Promise<ModelPlan> {
  const fileBytes = files.reduce((sum, { size }) => sum + size, 0);
  const folder = await openSource(files);
  await describeModel(folder);
  await Tokenizer.fromFiles(folder);
  return planModel(gpu, folder, { name: nameOfFiles(files), fileBytes });
}
