/**
 * Trains with DPO on token ids from an existing adapter, for `check_trl_steps.py`. Reads a JSON file with settings under
 * TRL's names, and prints the loss of every step as a JSON list.
 */
import { readFileSync } from 'node:fs';
import { CausalLM, DPOTrainer, readAdapter } from 'webalign';
import { folderFiles, requestGpu } from 'webalign/node';

/** @typedef {{ prompt_ids: number[], chosen_ids: number[], rejected_ids: number[] }} Row */
/** @type {{ model: string, start: string, rows: Row[], settings: Record<string, unknown> }} */
const { model: folder, start, rows, settings } = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'));

const gpu = await requestGpu();
const model = await CausalLM.load(gpu, folderFiles(folder));
const named = Object.entries(settings).map(([name, value]) => [
  name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase()),
  value,
]);
const trainer = new DPOTrainer({
  model,
  args: { ...Object.fromEntries(named), shuffleDataset: false },
  trainDataset: rows.map(({ prompt_ids, chosen_ids, rejected_ids }) => ({
    prompt: prompt_ids,
    chosen: chosen_ids,
    rejected: rejected_ids,
  })),
  peftConfig: await readAdapter(folderFiles(start)),
});
const losses = [];
for await (const event of trainer.train()) if (event.type === 'step') losses.push(event.metrics.loss);
console.log(JSON.stringify(losses));
trainer.dispose();
model.dispose();
gpu.dispose();
