/**
 * `webalign dpo`: trains an adapter, or all weights, on a person's own model and preference pairs.
 */
import { resolve } from 'node:path';
import { type PreferenceRow, readPreferenceRows, trainEvalSplit } from '../../data/preference-dataset.ts';
import type { Gpu } from '../../gpu/device.ts';
import { writeAdapter } from '../../io/peft.ts';
import { folderFiles, writeFiles } from '../../node/folder.ts';
import { DPO_DEFAULTS, LORA_DEFAULTS, LORA_LEARNING_RATE } from '../../train/config.ts';
import { command } from '../command.ts';
import { UsageError } from '../failures.ts';
import { openModel, readText, withGpu } from '../open.ts';
import type { Settings } from '../options.ts';
import { openRunFolder } from '../run-folder.ts';
import { runTraining, TRAINING_OPTIONS } from '../training.ts';
import { modelFiles } from '../write-model.ts';

export const dpo = command({
  name: 'dpo',
  summary: 'train an adapter on preference pairs',
  description:
    'Trains a LoRA adapter on preference pairs with DPO (Rafailov et al. 2023) and writes it as PEFT files.\n' +
    "Settings have TRL's and PEFT's names and defaults. A tenth of the pairs is held out, so that the\n" +
    'accuracy, margin and KL of the result can be seen. Stopped by Ctrl-C or killed, it goes on with --resume.',
  example:
    'dpo --model SmolLM2-135M --data pairs.jsonl --out adapter --lora-r 16 --learning-rate 1e-4 --epochs 1',
  options: [
    ...(['model', 'data', 'evalData', 'evalSplit', 'out', 'full', 'resume', 'overwrite', 'profile'] as const),
    ...TRAINING_OPTIONS,
  ],
  required: ['model', 'data', 'out'],
  defaults: { evalSplit: 0.1, saveSteps: 50, seed: DPO_DEFAULTS.seed },
  shown: {
    ...DPO_DEFAULTS,
    ...LORA_DEFAULTS,
    learningRate: `${LORA_LEARNING_RATE}, with --full ${DPO_DEFAULTS.learningRate}`,
  },
  async run({ settings, terminal, signal }) {
    const { model: modelPath, out, full = false, resume, overwrite, memoryCap } = settings;
    if (full && resolve(out) === resolve(modelPath)) {
      throw new UsageError(
        '--out is the folder of --model, which --full would overwrite: choose another --out.',
      );
    }
    const { train, evaluation } = await readPairs(settings);
    const folder = await openRunFolder(out, { writes: full ? 'model' : 'adapter', resume, overwrite });
    const json = await withGpu(terminal, memoryCap, async (gpu) => {
      const profiler = settings.profile ? gpu.profile() : undefined;
      const open = await openModel(gpu, modelPath, { trainable: full });
      const result = await runTraining(open, { train, evaluation, settings, folder }, terminal, signal);
      const { adapter } = result.trainer;
      await writeFiles(
        out,
        adapter
          ? writeAdapter(await adapter.toAdapter())
          : await modelFiles(open.model, folderFiles(modelPath)),
      );
      if (profiler) for (const line of await kernelTimes(gpu, profiler)) terminal.info(line);
      result.trainer.dispose();
      return result.json;
    });
    terminal.print(`${full ? 'Model' : 'Adapter'} written to ${out}`);
    return { json };
  },
});

type DataSettings = Settings & { data: string; evalSplit: number; seed: number };

/** Training pairs and those held out: in a file of their own, or a part of the others. */
async function readPairs({ data: path, evalData, evalSplit, seed }: DataSettings) {
  const rows = readPreferenceRows(await readText(path), path);
  if (evalData !== undefined) {
    return { train: rows, evaluation: readPreferenceRows(await readText(evalData), evalData) };
  }
  // A single pair cannot be shared out.
  const share = rows.length === 1 && evalSplit < 1 ? 0 : evalSplit;
  const split = trainEvalSplit<PreferenceRow>(rows, share, seed);
  return { train: split.train, evaluation: split.eval };
}

/** The ten kernels that took longest. */
async function kernelTimes(gpu: Gpu, profiler: ReturnType<Gpu['profile']>): Promise<string[]> {
  await gpu.recorder.finish();
  const times = await profiler.report();
  const total = times.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  return times.slice(0, 10).map(({ label, calls, milliseconds }) => {
    const share = ((100 * milliseconds) / total).toFixed(1).padStart(5);
    return `${share}%  ${milliseconds.toFixed(0).padStart(8)} ms  ${String(calls).padStart(7)} ×  ${label}`;
  });
}
