/**
 * `webalign sacpo`: stepwise alignment to one criterion after the other, an adapter for each, and one for them all.
 */
import { basename, join, resolve } from 'node:path';
import { writeAdapter } from '../../io/peft.ts';
import { writeFiles } from '../../node/folder.ts';
import { checkedScale, effectiveBeta, SACPOTrainer } from '../../train/sacpo-trainer.ts';
import { command } from '../command.ts';
import { openModel, openModelFiles, recordedModel, withGpu } from '../open.ts';
import { MODEL_OPTIONS } from '../options.ts';
import { openRunFolder, RUN_RECORD, type RunFolder } from '../run-folder.ts';
import { recordedChanges, writeRunRecord } from '../run-record.ts';
import { readStages, runStages } from '../stages.ts';
import { loraConfig } from '../training.ts';

/** Optimizer steps between checkpoints. */
const SAVE_STEPS = 50;

export const sacpo = command({
  name: 'sacpo',
  summary: 'align in steps: to one criterion, then to another',
  description:
    'Stepwise alignment (SACPO, Wachi et al. 2024): the first stage aligns to reward, the next to safety with the first ' +
    'as its reference, each with DPO or KTO and an adapter of its own. --stages names a JSON file: {"stages": [{"name": ' +
    '"reward", "method": "dpo", "data": "helpful.jsonl", "beta": 0.1}, {"name": "safety", "method": "dpo", "data": ' +
    '"safer.jsonl", "beta": 0.1, "lambda": 2}]}; a stage is trained with beta/lambda, and takes every setting of its ' +
    "method's command. Writes OUT/1-reward, OUT/2-safety, and in OUT itself one adapter for all, the last stage scaled " +
    'by --q (P-SACPO). Other scales: webalign export.',
  example: 'sacpo --model HuggingFaceTB/SmolLM2-135M --stages stages.json --out run --q 0.5',
  options: [...MODEL_OPTIONS, 'dtype', 'stages', 'out', 'q', 'resume', 'overwrite'],
  required: ['model', 'stages', 'out'],
  defaults: { q: 1, dtype: 'auto' },
  async run({ settings, terminal, signal }) {
    const { dtype, stages: path, out, q, resume, overwrite } = settings;
    checkedScale(q);
    const stageFiles = await readStages(path, (line) => terminal.info(line));
    const folders: RunFolder[] = [];
    for (const [i, { stage }] of stageFiles.entries()) {
      const path = join(out, `${i + 1}-${stage.name}`);
      folders.push(await openRunFolder(path, { writes: 'adapter', resume, overwrite }));
    }
    const whole = await openRunFolder(out, { writes: 'adapter', resume, overwrite });
    const files = await openModelFiles(settings, terminal, signal);
    const results = await withGpu(terminal, settings, async (gpu) => {
      const { model, tokenizer } = await openModel(gpu, files, {
        dtype,
        onNotice: (line) => terminal.info(line),
      });
      const trainer = new SACPOTrainer({
        model,
        processingClass: tokenizer,
        stages: stageFiles.map(({ stage, settings: own }, i) => ({
          ...stage,
          args: { saveSteps: SAVE_STEPS, ...stage.args },
          peftConfig: loraConfig(own, model),
          checkpoint: folders[i].checkpoint,
        })),
        referenceCache: whole.referenceCache,
      });
      for (const folder of [...folders, whole]) await folder.clear();
      const runs = stageFiles.map(({ stage, method }, i) => ({ stage, method, folder: folders[i] }));
      const told = await runStages(trainer, runs, model, terminal, signal);
      for (const [i, adapter] of trainer.adapters.entries()) {
        const { method, source } = stageFiles[i];
        const record = writeRunRecord({
          method: method.name,
          ...recordedModel(files),
          dtype,
          ...source,
          settings: told[i].config,
          ...recordedChanges(told[i].changes),
          lora: told[i].lora,
          variants: told[i].summary.variants,
          below: folders.slice(0, i).map(({ path }) => resolve(path)),
        });
        const written = writeAdapter(await adapter.toAdapter());
        await writeFiles(folders[i].path, { [RUN_RECORD]: record, ...written });
      }
      const record = writeRunRecord({ stages: folders.map(({ path }) => basename(path)) });
      await writeFiles(out, { [RUN_RECORD]: record, ...writeAdapter(await trainer.combined(q)) });
      return told;
    });
    terminal.print(`${results.length} stages and one adapter for all, q ${q}, written to ${out}`);
    const stages = results.map(({ summary }, i) => {
      const { stage } = stageFiles[i];
      return { name: stage.name, method: stage.method, beta: effectiveBeta(stage), ...summary };
    });
    return { json: { stages, q, out } };
  },
});
