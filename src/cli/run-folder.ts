/**
 * The folder that a run writes to, the files of an earlier run in it, and the rule that files of two runs are never mixed.
 * The checkpoint stays, so that a finished run can be inspected again; the file that is written last marks
 * the run as complete. Files that can be computed again are in the user's cache folder instead.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Gpu } from '../gpu/device.ts';
import type { CheckpointStore } from '../io/checkpoint.ts';
import { InputError } from '../io/errors.ts';
import { ADAPTER_CONFIG, ADAPTER_WEIGHTS } from '../io/peft.ts';
import type { ReferenceCache } from '../io/reference-cache.ts';
import { MODEL_CONFIG, MODEL_GGUF, MODEL_INDEX, MODEL_WEIGHTS } from '../io/weights.ts';
import { fileCheckpointStore, folderFiles } from '../node/folder.ts';
import { lockFolder } from '../node/folder-lock.ts';
import { userReferenceCache } from '../node/reference-cache.ts';
import { UsageError } from './failures.ts';
import { TRL_SCRIPT, TRL_STAGES } from './trl-parts.ts';

export const CHECKPOINT = 'checkpoint.safetensors';
export const RUN_RECORD = 'run.json';
export const COMPLETION_LOG = 'completions.jsonl';
export const TRAINER_STATE = 'trainer_state.json';
export const METRIC_TABLE = 'log.csv';
export const REPORT = 'report.html';
export const GGUF_ADAPTER = 'adapter.gguf';
/** Files that every run writes in addition to its result. */
const TOLD = [RUN_RECORD, TRAINER_STATE, METRIC_TABLE, REPORT] as const;
/** All files that a run writes, the last one first: without it the others do not count as a result. */
const LEFT_BEHIND = {
  adapter: [COMPLETION_LOG, ADAPTER_CONFIG, ADAPTER_WEIGHTS, ...TOLD, CHECKPOINT],
  model: [COMPLETION_LOG, MODEL_CONFIG, MODEL_WEIGHTS, MODEL_INDEX, ...TOLD, CHECKPOINT],
  gguf: [GGUF_ADAPTER],
  ggufModel: [MODEL_GGUF],
  trl: [
    TRL_SCRIPT,
    TRL_STAGES,
    'settings.json',
    'train.jsonl',
    'eval.jsonl',
    'train.ids.jsonl',
    'eval.ids.jsonl',
  ],
} as const;

export interface RunFolderOptions {
  /** The files that the run will write. */
  writes: keyof typeof LEFT_BEHIND;
  /** Whether the run cannot be resumed. */
  atOnce?: boolean;
  resume?: boolean | undefined;
  overwrite?: boolean | undefined;
}

/** Disposing of it releases the folder. */
export interface RunFolder extends AsyncDisposable {
  path: string;
  checkpoint: CheckpointStore;
  /** Where log-probabilities of the reference are stored. */
  referenceCache(gpu: Gpu): ReferenceCache;
  /** Whether there was a checkpoint to continue from. */
  resumes: boolean;
  /**
   * Removes the files of an earlier run if the user asked for that; a second call keeps the files of this run. Call it
   * after all input has been validated.
   */
  clear(): Promise<void>;
}

/**
 * Locks the folder for this process and inspects it. Throws {@link InputError} if another process uses it, if it cannot be
 * written, or if it contains a run that this one may not overwrite.
 */
export async function openRunFolder(path: string, options: RunFolderOptions): Promise<RunFolder> {
  if (options.resume && options.overwrite)
    throw new UsageError('--resume continues a run, --overwrite replaces it: use only one of them.');
  const lock = await lockFolder(path);
  try {
    return { ...(await lookInto(path, options)), [Symbol.asyncDispose]: () => lock.release() };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Releases all locks; locks may be added until then. */
export function closing(folders: readonly AsyncDisposable[]): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () => {
      for (const folder of folders) await folder[Symbol.asyncDispose]();
    },
  };
}

async function lookInto(
  path: string,
  { writes, atOnce = false, resume = false, overwrite = false }: RunFolderOptions,
): Promise<Omit<RunFolder, keyof AsyncDisposable>> {
  const files = folderFiles(path);
  const found: string[] = [];
  for (const name of LEFT_BEHIND[writes]) if (await files.exists(name)) found.push(name);
  if (found.length > 0 && !resume && !overwrite) {
    const stopped = found.length === 1 && found[0] === CHECKPOINT;
    throw new InputError(
      join(path, found[0]),
      stopped ? 'contains a stopped run' : 'contains a finished run',
      `Add ${atOnce ? '' : '--resume to continue it, '}--overwrite to replace it, or choose another --out`,
    );
  }
  return {
    path,
    checkpoint: fileCheckpointStore(join(path, CHECKPOINT)),
    referenceCache: userReferenceCache,
    resumes: resume && found.includes(CHECKPOINT),
    clear: async () => {
      if (overwrite) for (const name of found.splice(0)) await rm(join(path, name), { force: true });
    },
  };
}
