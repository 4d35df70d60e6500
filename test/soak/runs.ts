/** Small runs of every trainer on the fixture model, as children of the soak. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { lines, Workshop } from '../cli/workshop.ts';

const PROMPTS = ['the sky', 'the end', 'a same thing', 'blue blue', 'skying'].map((prompt) => ({ prompt }));
const OF_PAIRS = { '--data': 'pairs.jsonl', '--batch-size': '4', '--eval-split': '0.2' };
const OF_PROMPTS = {
  '--data': 'prompts.jsonl',
  '--batch-size': '4',
  '--reward': 'length',
  '--eval-split': '1',
};
const GROUPS = { ...OF_PROMPTS, '--num-generations': '2', '--max-completion-length': '5' };

/** A command's own flags, by its name. */
export const RUNS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  dpo: OF_PAIRS,
  kto: OF_PAIRS,
  orpo: OF_PAIRS,
  cpo: OF_PAIRS,
  'reward-model': OF_PAIRS,
  rloo: GROUPS,
  grpo: GROUPS,
  'online-dpo': { ...OF_PROMPTS, '--max-completion-length': '5' },
  ppo: { ...OF_PROMPTS, '--response-length': '5' },
};
const COMMON = {
  '--model': 'model',
  '--max-steps': '6',
  '--save-steps': '1',
  '--lora-r': '16',
  '--learning-rate': '1e-3',
};
const PATHS = ['--model', '--data', '--out'];

export async function openWorkshop(): Promise<Workshop> {
  const workshop = await Workshop.open();
  await workshop.write('prompts.jsonl', lines(PROMPTS));
  return workshop;
}

/** The command line of a run into `out`, a folder of the workshop or a path. */
export function argumentsOf(workshop: Workshop, name: string, out: string, ...switches: string[]): string[] {
  const flags = { ...COMMON, ...RUNS[name], '--out': out };
  const given = Object.entries(flags).flatMap(([flag, value]) => [
    flag,
    PATHS.includes(flag) && !value.startsWith('/') ? workshop.path(value) : value,
  ]);
  return [name, ...given, ...switches, '--json'];
}

/** The output of a run: the hash of its adapter's weights. */
export async function adapterHash(folder: string): Promise<string> {
  const bytes = await readFile(`${folder}/adapter_model.safetensors`);
  return createHash('sha256').update(bytes).digest('hex');
}

/** Files that a finished run must not leave: locks, and temporary files. */
export async function litter(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith('.tmp') || name.includes('.lock'));
}
