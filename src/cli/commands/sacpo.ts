/**
 * `webalign sacpo`: stepwise alignment to several criteria, with one adapter each and one that combines them.
 */

import { basename, join, resolve } from 'node:path';
import { counted } from '../../base/counted.ts';
import { writeAdapter } from '../../io/peft.ts';
import { writeFiles } from '../../node/folder.ts';
import { checkedScale, effectiveBeta, SACPOTrainer } from '../../train/sacpo-trainer.ts';
import { command } from '../command.ts';
import { openModel, openModelFiles, recordedModel, withGpu } from '../open.ts';
import { MODEL_OPTIONS } from '../options.ts';
import { beginReport, checkReport, REPORT_OPTIONS, REPORT_SAMPLES } from '../report/run-report.ts';
import { closing, openRunFolder, RUN_RECORD, type RunFolder } from '../run-folder.ts';
import { type RunRecord, recordedChanges, writeRunRecord } from '../run-record.ts';
import { readStages, runStages } from '../stages.ts';
import { logFiles } from '../trainer-state.ts';
import { loraConfig } from '../training.ts';
import { tellsTokenizing } from '../training-lines.ts';

/** Optimizer steps between checkpoints. */
const SAVE_STEPS = 50;

export const sacpo = command({
  name: 'sacpo',
  summary: 'align stepwise: for one criterion, then for another',
  description:
    'Stepwise alignment (SACPO, Wachi et al. 2024): the first stage trains on reward, the next on safety with the first ' +
    'as its reference, each with DPO or KTO and its own adapter. --stages is a JSON file: {"stages": [{"name": ' +
    '"reward", "method": "dpo", "data": "helpful.jsonl", "beta": 0.1}, {"name": "safety", "method": "dpo", "data": ' +
    '"safer.jsonl", "beta": 0.1, "lambda": 2}]}; a stage trains with beta/lambda, and accepts every setting of its ' +
    "method's command. Writes OUT/1-reward, OUT/2-safety, and in OUT itself one combined adapter, the last stage scaled " +
    'by --q (P-SACPO). Other scales: webalign export.',
  example: 'sacpo --model HuggingFaceTB/SmolLM2-135M --stages stages.json --out run --q 0.5',
  options: [...MODEL_OPTIONS, 'dtype', 'stages', 'out', 'q', 'resume', 'overwrite', ...REPORT_OPTIONS],
  required: ['model', 'stages', 'out'],
  defaults: { q: 1, dtype: 'auto', reportSamples: REPORT_SAMPLES },
  async run({ settings, terminal, signal }) {
    const { dtype, stages: path, out, q, resume, overwrite } = settings;
    checkedScale(q);
    checkReport(settings);
    const stageFiles = await readStages(path, (line) => terminal.info(line));
    // First, so that it is released last: the others are inside it.
    await using whole = await openRunFolder(out, { writes: 'adapter', resume, overwrite });
    const folders: RunFolder[] = [];
    await using _ = closing(folders);
    for (const [i, { stage }] of stageFiles.entries()) {
      const path = join(out, `${i + 1}-${stage.name}`);
      folders.push(await openRunFolder(path, { writes: 'adapter', resume, overwrite }));
    }
    const files = await openModelFiles(settings, terminal, signal);
    const results = await withGpu(terminal, settings, async (gpu) => {
      const open = await openModel(gpu, files, { dtype, onNotice: (line) => terminal.info(line) });
      const { model, tokenizer } = open;
      const options = {
        model,
        processingClass: tokenizer,
        stages: stageFiles.map(({ stage, settings: own }, i) => ({
          ...stage,
          args: { saveSteps: SAVE_STEPS, ...stage.args },
          peftConfig: loraConfig(own, model),
          checkpoint: folders[i].checkpoint,
        })),
        referenceCache: whole.referenceCache(gpu),
      };
      const onProgress = tellsTokenizing(stageFiles[0].method, terminal);
      const trainer = await SACPOTrainer.create(options, { signal, onProgress });
      for (const folder of [...folders, whole]) await folder.clear();
      const runs = stageFiles.map(({ stage, method }, i) => {
        const report = beginReport(open, method, settings, terminal, signal);
        return { stage, method, folder: folders[i], report, watch: report?.see.bind(report) };
      });
      const told = await runStages(trainer, runs, model, terminal, signal);
      for (const [i, adapter] of trainer.adapters.entries()) {
        const { method, source } = stageFiles[i];
        const { trainer: ofStage, plan, summary, config, lora, changes } = told[i];
        const { path } = folders[i];
        const record: RunRecord = {
          method: method.name,
          ...recordedModel(files),
          dtype,
          ...source,
          settings: config,
          ...recordedChanges(changes),
          lora,
          variants: summary.variants,
          below: folders.slice(0, i).map((folder) => resolve(folder.path)),
        };
        await writeFiles(path, {
          [RUN_RECORD]: writeRunRecord(record),
          ...logFiles(ofStage, plan.totalSteps, settings),
          ...writeAdapter(await adapter.toAdapter()),
        });
        await runs[i].report?.write(path, { trainer: ofStage, plan, summary, record });
      }
      const record = writeRunRecord({ stages: folders.map(({ path }) => basename(path)) });
      await writeFiles(out, { [RUN_RECORD]: record, ...writeAdapter(await trainer.combined(q)) });
      return told;
    });
    terminal.print(`${counted(results.length, 'stage')} and one combined adapter, q ${q}, written to ${out}`);
    const stages = results.map(({ summary }, i) => {
      const { stage } = stageFiles[i];
      return { name: stage.name, method: stage.method, beta: effectiveBeta(stage), ...summary };
    });
    return { json: { stages, q, out } };
  },
});
