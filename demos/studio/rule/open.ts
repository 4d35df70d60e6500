/** The storyteller on this machine, and prompts: those to pick on in the order of seed 0, and those that are only written to. */
import { readFile } from 'node:fs/promises';
import { readPreferenceRows, Tokenizer } from 'webalign';
import { shuffle } from 'webalign/data';
import { CausalLM, describeModel } from 'webalign/models';
import { folderFiles, requestGpu } from 'webalign/node';
import { parametersOf } from '../planning.ts';
import { Runtime } from '../runtime.ts';

const MODEL = 'demos/align/model';
const DATA = 'demos/align/data';

async function promptsOf(path: string): Promise<string[]> {
  const rows = readPreferenceRows(await readFile(path, 'utf8'), path);
  return [...new Set(rows.map(({ prompt }) => prompt as string))];
}

export async function openTask(heldOutPrompts: number) {
  const files = folderFiles(MODEL);
  const gpu = await requestGpu();
  const loading = { dtype: 'float32' } as const;
  const [model, tokenizer] = await Promise.all([
    CausalLM.load(gpu, files, loading),
    Tokenizer.fromFiles(files),
  ]);
  const runtime = Runtime.on({ files, tokenizer, gpu, model, loading, notices: [] });
  const parameters = parametersOf(await describeModel(files));
  const heldOut = (await promptsOf(`${DATA}/eval.jsonl`)).slice(0, heldOutPrompts);
  const others = (await promptsOf(`${DATA}/train.jsonl`)).filter((prompt) => !heldOut.includes(prompt));
  const prompts = [...shuffle(others.length, 0, 0)].map((at) => others[at]);
  const { description, software } = gpu.adapter;
  const adapter = software ? `${description} (software, on the CPU)` : description;
  return { gpu, adapter, task: { runtime, parameters, prompts, heldOut } };
}
