/**
 * What a run was asked to do, kept in its folder as `run.json`: method, model, data, and every setting as it was in force.
 * Written with the result; whoever repeats the run elsewhere starts from it.
 */
import { InputError } from '../io/errors.ts';
import { isObject, type JsonObject, parseJsonObject } from '../io/json.ts';
import type { LoraConfig } from '../io/peft.ts';
import { folderFiles } from '../node/folder.ts';
import type { TrainingConfig } from '../train/config.ts';
import { METHODS, type Method } from './methods.ts';
import { RUN_RECORD } from './run-folder.ts';

export interface RunRecord {
  method: string;
  /** Folders and files by their full paths. */
  model: string;
  data: string;
  evalData: string | null;
  evalSplit: number;
  settings: TrainingConfig;
  /** Null where all weights were trained. */
  lora: LoraConfig | null;
}

/** The file's bytes. */
export function writeRunRecord(record: RunRecord): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(record, null, 2)}\n`);
}

/** The record in a run's folder, and its method. Throws {@link InputError} where there is none that can be used. */
export async function readRunRecord(path: string): Promise<{ record: RunRecord; method: Method }> {
  const files = folderFiles(path);
  const file = `${files.name}/${RUN_RECORD}`;
  if (!(await files.exists(RUN_RECORD))) {
    const names = METHODS.map(({ name }) => name).join(', ');
    throw new InputError(file, 'there is no such file', `Name the folder of a finished run of ${names}`);
  }
  const json = parseJsonObject(await files.readText(RUN_RECORD), file);
  const method = METHODS.find(({ name }) => name === json.method);
  if (!method || !isRecord(json)) {
    throw new InputError(file, 'is not the record of a run', 'Train again, or fetch the folder again');
  }
  return { record: json as unknown as RunRecord, method };
}

function isRecord({ model, data, evalData, evalSplit, settings, lora }: JsonObject): boolean {
  return (
    typeof model === 'string' &&
    typeof data === 'string' &&
    (evalData === null || typeof evalData === 'string') &&
    typeof evalSplit === 'number' &&
    isObject(settings) &&
    typeof settings.seed === 'number' &&
    (lora === null || isObject(lora))
  );
}
