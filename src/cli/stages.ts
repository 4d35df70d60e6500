/**
 * The file that defines the stages of a stepwise alignment: an object with "stages", or only their list. Each stage has a
 * "name", a "method", "data", optionally "lambda", and the settings of its method's command. Reads and checks; trains nothing.
 */
import { InputError, listed, quote } from '../io/errors.ts';
import { isObject, type JsonObject, kindOf, parseJson } from '../io/json.ts';
import type { LoraConfig } from '../io/peft.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import type { TrainingConfig } from '../train/config.ts';
import type { RunPlan, TrainEvent } from '../train/events.ts';
import { effectiveBeta, type SACPOStage, type SACPOTrainer, STAGE_METHODS } from '../train/sacpo-trainer.ts';
import { TRAINING } from '../train/settings/training.ts';
import { TRL_NAMES } from '../train/settings/trl-names.ts';
import type { Trainer } from '../train/trainer.ts';
import { type Method, methodOptions } from './method.ts';
import { METHODS } from './methods.ts';
import { readText } from './open.ts';
import { DATA_OPTIONS, LORA_OPTIONS, pick, type Settings } from './options.ts';
import type { RunFolder } from './run-folder.ts';
import { settingsFrom } from './settings.ts';
import type { Terminal } from './terminal.ts';
import { follow, type RunSummary } from './training.ts';
import { type DataRecord, readData, recordedData } from './training-data.ts';

/** A stage as read, with its data. */
export interface StageFile {
  method: Method;
  /** The source of its rows. */
  source: DataRecord;
  stage: Omit<SACPOStage, 'checkpoint' | 'peftConfig'>;
  /** The given settings, including LoRA's. */
  settings: Settings;
}

/** The stages of the file at `path`. Throws {@link InputError} that names the invalid stage; `onNotice` receives notices about ignored columns. */
export async function readStages(path: string, onNotice: (line: string) => void): Promise<StageFile[]> {
  const json = parseJson(await readText(path), path);
  const stages = isObject(json) ? json.stages : json;
  if (!Array.isArray(stages) || stages.length === 0) {
    throw new InputError(
      path,
      'contains no stages',
      'Give {"stages": [{"name", "method", "data", ...}, ...]}',
    );
  }
  const read: StageFile[] = [];
  for (const [i, stage] of stages.entries()) {
    const where = `${path}, stage ${i + 1}`;
    if (!isObject(stage)) throw new InputError(where, `is ${kindOf(stage)}`, 'Give an object');
    read.push(await readStage(stage, where, i, onNotice));
  }
  return read;
}

async function readStage(
  json: JsonObject,
  where: string,
  index: number,
  onNotice: (line: string) => void,
): Promise<StageFile> {
  const { name = `stage-${index + 1}`, method: methodName = 'dpo', lambda, ...rest } = json;
  if (typeof name !== 'string' || !/^[\w-]+$/.test(name)) {
    throw new InputError(
      where,
      `"name" is ${quote(name)}`,
      'Use letters, digits and hyphens: the name becomes a folder',
    );
  }
  const method = METHODS.find((candidate) => candidate.name === methodName);
  const stageMethod = STAGE_METHODS.find((candidate) => candidate === methodName);
  if (!method || !stageMethod) {
    const what = method
      ? `"method" is ${quote(methodName)}, which has no reference, but a stage needs the one before as its reference`
      : `"method" is ${quote(methodName)}`;
    throw new InputError(where, what, `Use ${listed(STAGE_METHODS)}`);
  }
  if (lambda !== undefined && !(typeof lambda === 'number' && lambda > 0)) {
    throw new InputError(where, `"lambda" is ${quote(lambda)}`, 'Give a number above 0');
  }
  const options = [...methodOptions(method), ...LORA_OPTIONS, ...DATA_OPTIONS] as const;
  const settings = settingsFrom(rest, where, options, TRL_NAMES);
  if (settings.data === undefined) throw new InputError(where, 'has no "data"', 'Give a file');
  const { data, evalSplit = 0.1, seed = TRAINING.seed.default } = settings;
  const { train, evaluation } = await readData(method, { ...settings, data, evalSplit, seed }, onNotice);
  const stage = {
    name,
    method: stageMethod,
    args: pick(settings, methodOptions(method)) as NonNullable<SACPOStage['args']>,
    trainDataset: train as SACPOStage['trainDataset'],
    evalDataset: evaluation as SACPOStage['trainDataset'],
    ...(lambda === undefined ? {} : { lambda }),
  };
  const source = recordedData({ ...settings, data, evalSplit });
  return { method, stage, settings, source };
}

/** A stage in training, for progress messages. */
export interface StageRun {
  stage: Pick<SACPOStage, 'name' | 'method' | 'args' | 'lambda'>;
  method: Method;
  folder: RunFolder;
  /** Receives every event while the stage waits. */
  watch?: ((event: TrainEvent, trainer: Trainer) => Promise<void>) | undefined;
}

/** A finished stage: its summary, and its effective settings. */
export interface StageResult {
  summary: RunSummary;
  plan: RunPlan;
  /** Disposed; kept for its log and its data. */
  trainer: Trainer;
  config: TrainingConfig;
  lora: LoraConfig | null;
  changes: Trainer['changes'];
}

/** Trains all stages and prints progress; see {@link follow} for how it can end early. */
export async function runStages(
  trainer: SACPOTrainer,
  runs: readonly StageRun[],
  model: CausalLM,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<StageResult[]> {
  const results: StageResult[] = [];
  let run: ReturnType<typeof follow> | undefined;
  for await (const { stage: index, trainer: own, event } of trainer.train({ signal })) {
    if (event.type === 'start') {
      const { stage, method, folder } = runs[index];
      terminal.info(`Stage ${index + 1}, ${stage.name}: ${stage.method} with β/λ ${effectiveBeta(stage)}`);
      run = follow({ trainer: own, method, folder, model }, terminal, signal);
    }
    run?.see(event);
    await runs[index].watch?.(event, own);
    run?.goOn();
    if (event.type !== 'end' || !run) continue;
    const { plan, json: summary } = run.end();
    for (const line of summary.advice) terminal.info(line);
    const { config, adapter, changes } = own;
    results.push({ summary, plan, trainer: own, config, lora: adapter?.config ?? null, changes });
  }
  return results;
}
