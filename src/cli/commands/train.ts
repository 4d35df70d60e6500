/**
 * `webalign sft | dpo | kto | rloo | grpo | cpo | orpo`: trains an adapter, or all weights, on the user's model and data. One command
 * per row of the table of methods.
 */
import { resolve } from 'node:path';
import type { Gpu } from '../../gpu/device.ts';
import { type Profiler, profile } from '../../gpu/profiler.ts';
import { writeAdapter } from '../../io/peft.ts';
import { writeFiles } from '../../node/folder.ts';
import { TRL_NAMES } from '../../train/settings/trl-names.ts';
import { type Command, command } from '../command.ts';
import { UsageError } from '../failures.ts';
import {
  checkMethod,
  type Method,
  RUN_DEFAULTS,
  requiredOptions,
  runOptions,
  shownDefaults,
} from '../method.ts';
import { METHODS } from '../methods.ts';
import { openModel, openModelFiles, recordedModel, withGpu } from '../open.ts';
import { beginReport, checkReport, REPORT_OPTIONS, REPORT_SAMPLES } from '../report/run-report.ts';
import { openRunFolder, RUN_RECORD } from '../run-folder.ts';
import { type RunRecord, recordedChanges, writeRunRecord } from '../run-record.ts';
import { logFiles } from '../trainer-state.ts';
import { runTraining } from '../training.ts';
import { readData, recordedData } from '../training-data.ts';
import { modelFiles } from '../write-model.ts';

export const trainCommands: readonly Command[] = METHODS.map(trainCommand);

function trainCommand(method: Method): Command {
  const { name, summary, description, example } = method;
  return command({
    name,
    summary,
    description,
    example,
    options: [
      ...runOptions(method),
      ...(['out', 'resume', 'overwrite', 'profile'] as const),
      ...REPORT_OPTIONS,
      ...(method.others ?? []),
    ],
    required: [...requiredOptions(method), 'out'],
    defaults: { ...RUN_DEFAULTS, reportSamples: REPORT_SAMPLES },
    reasons: TRL_NAMES,
    shown: shownDefaults(method),
    async run({ settings, terminal, signal }) {
      const { model: modelPath, dtype, out, full = false, initAdapter, resume, overwrite } = settings;
      if (initAdapter !== undefined && resolve(out) === resolve(initAdapter)) {
        throw new UsageError(
          '--out is the folder of --init-adapter, which would be overwritten: choose another --out.',
        );
      }
      if (full && resolve(out) === resolve(modelPath)) {
        throw new UsageError(
          '--out is the folder of --model, which --full would overwrite: choose another --out.',
        );
      }
      checkMethod(method, settings);
      checkReport(settings);
      const { train, evaluation } = await readData(method, settings, (line) => terminal.info(line));
      await using folder = await openRunFolder(out, {
        writes: full ? 'model' : 'adapter',
        resume,
        overwrite,
      });
      const files = await openModelFiles(settings, terminal, signal);
      const json = await withGpu(terminal, settings, async (gpu) => {
        const profiler = settings.profile ? profile(gpu) : undefined;
        const open = await openModel(gpu, files, {
          trainable: full,
          dtype,
          onNotice: (line) => terminal.info(line),
        });
        const report = beginReport(open, method, settings, terminal, signal);
        const job = { method, train, evaluation, settings, folder, watch: report?.see.bind(report) };
        const result = await runTraining(open, job, terminal, signal);
        const { adapter, config, changes } = result.trainer;
        const record: RunRecord = {
          method: name,
          ...recordedModel(files),
          dtype,
          ...recordedData(settings),
          settings: config,
          ...recordedChanges(changes),
          lora: adapter?.config ?? null,
          variants: result.plan.variants,
          ...(settings.reward ? { rewards: settings.reward } : {}),
          initAdapter: initAdapter === undefined ? null : resolve(initAdapter),
        };
        const trained = adapter
          ? writeAdapter(await adapter.toAdapter())
          : await modelFiles(open.model, files);
        const told = logFiles(result.trainer, result.plan.totalSteps, settings);
        await writeFiles(out, { [RUN_RECORD]: writeRunRecord(record), ...told, ...trained });
        const { trainer, plan, json: summary } = result;
        await report?.write(out, { trainer, plan, summary, record });
        if (profiler) for (const line of await kernelTimes(gpu, profiler)) terminal.info(line);
        result.trainer.dispose();
        return result.json;
      });
      for (const line of json.advice) terminal.print(line);
      terminal.print(`${full ? 'Model' : 'Adapter'} written to ${out}`);
      return { json };
    },
  });
}

/** The ten slowest kernels. */
async function kernelTimes(gpu: Gpu, profiler: Profiler): Promise<string[]> {
  await gpu.recorder.finish();
  const times = await profiler.report();
  const total = times.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  return times.slice(0, 10).map(({ label, calls, milliseconds }) => {
    const share = ((100 * milliseconds) / total).toFixed(1).padStart(5);
    return `${share}%  ${milliseconds.toFixed(0).padStart(8)} ms  ${String(calls).padStart(7)} ×  ${label}`;
  });
}
