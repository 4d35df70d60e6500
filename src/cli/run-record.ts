/**
 * The record of a run, stored in its folder as `run.json`: method, model, data, and all effective settings.
 * Written with the result; repeating the run elsewhere starts from it. A run in stages records the names of its stages, and
 * each stage is a run in its own folder.
 */
import { join } from 'node:path';
import { InputError } from '../io/errors.ts';
import { isObject, type JsonObject, parseJsonObject } from '../io/json.ts';
import type { LoraConfig } from '../io/peft.ts';
import { folderFiles } from '../node/folder.ts';
import type { TrainingConfig } from '../train/config.ts';
import type { SettingChange } from '../train/resume.ts';
import type { Method } from './method.ts';
import { METHODS } from './methods.ts';
import type { RecordedModel } from './open.ts';
import { RUN_RECORD } from './run-folder.ts';
import type { DataRecord } from './training-data.ts';

export interface RunRecord extends RecordedModel, DataRecord {
  method: string;
  /** Precision of the model's matrices; default: float32. */
  dtype?: string;
  /** Number of rows used from the start of the files; default: all. */
  rows?: { train: number; evaluation: number };
  settings: TrainingConfig;
  /** Null if all weights were trained. */
  lora: LoraConfig | null;
  /** Kernel variants that ran, by class of shapes; other variants may round differently. */
  variants?: Readonly<Record<string, string>>;
  /** Settings that were changed during the run, with the optimizer step before the change; `settings` has the last values. */
  changes?: readonly SettingChange[];
  /** The adapter that training started from, unless it was new. */
  initAdapter?: string | null;
  /** The rewards of completions, by their command-line names. */
  rewards?: readonly string[];
  /** Adapters below the one in training, and below its reference. */
  below?: readonly string[];
}

/** The record of a run in stages, besides its combined adapter. */
export interface StagedRecord {
  /** Folders inside the run's own. */
  stages: readonly string[];
}

/** A recorded run. */
export interface RecordedRun {
  folder: string;
  record: RunRecord;
  method: Method;
}

/** Changes during the run, for its record; empty if there were none. */
export function recordedChanges(changes: readonly SettingChange[]): Pick<RunRecord, 'changes'> {
  return changes.length > 0 ? { changes } : {};
}

/** The file's bytes. */
export function writeRunRecord(record: RunRecord | StagedRecord): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(record, null, 2)}\n`);
}

/** The run in a folder, or its stages by name. Throws {@link InputError} if there is no usable record. */
export async function readRuns(folder: string): Promise<RecordedRun | Map<string, RecordedRun>> {
  const { json, file } = await readRecord(folder);
  const { stages } = json;
  if (stages === undefined) return asRun(folder, json, file);
  const isName = (name: unknown): name is string => typeof name === 'string' && /^[\w-]+$/.test(name);
  if (!Array.isArray(stages) || !stages.every(isName)) throw noRecord(file);
  const runs = new Map<string, RecordedRun>();
  for (const name of stages) {
    const below = join(folder, name);
    const stage = await readRecord(below);
    runs.set(name, asRun(below, stage.json, stage.file));
  }
  return runs;
}

async function readRecord(folder: string): Promise<{ json: JsonObject; file: string }> {
  const files = folderFiles(folder);
  const file = `${files.name}/${RUN_RECORD}`;
  if (!(await files.exists(RUN_RECORD))) {
    const names = METHODS.map(({ name }) => name).join(', ');
    const wayOut = `Give the folder of a finished run of ${names}, sacpo or align`;
    throw new InputError(file, 'file not found', wayOut);
  }
  return { json: parseJsonObject(await files.readText(RUN_RECORD), file), file };
}

function asRun(folder: string, json: JsonObject, file: string): RecordedRun {
  const method = METHODS.find(({ name }) => name === json.method);
  if (!method || !isRecord(json)) throw noRecord(file);
  return { folder, record: { revision: null, ...json } as unknown as RunRecord, method };
}

function noRecord(file: string): InputError {
  return new InputError(file, 'is not a valid run record', 'Train again, or copy the folder again');
}

function areTexts(values: unknown): boolean {
  return Array.isArray(values) && values.every((value) => typeof value === 'string');
}

function isRecord(json: JsonObject): boolean {
  const {
    model,
    revision = null,
    dtype = 'float32',
    data,
    dataWeights = [],
    evalData,
    evalSplit,
    rows,
    settings,
    lora,
    initAdapter = null,
    below = [],
  } = json;
  return (
    typeof model === 'string' &&
    (revision === null || typeof revision === 'string') &&
    typeof dtype === 'string' &&
    areTexts([data].flat()) &&
    Array.isArray(dataWeights) &&
    dataWeights.every(Number.isFinite) &&
    (evalData === null || typeof evalData === 'string') &&
    typeof evalSplit === 'number' &&
    (rows === undefined || (isObject(rows) && Object.values(rows).every(Number.isSafeInteger))) &&
    (initAdapter === null || typeof initAdapter === 'string') &&
    areTexts(below) &&
    isObject(settings) &&
    typeof settings.seed === 'number' &&
    (lora === null || isObject(lora))
  );
}
