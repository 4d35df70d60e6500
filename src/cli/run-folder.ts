/**
 * The folder that a run writes to: what an earlier run may have left there, and the rule that nothing of it is mixed
 * with this one's. The checkpoint stays, so that a finished run can be looked at again; the file that is written last says
 * that the run is complete. What can be computed again does not lie here, but in the user's cache folder.
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
import { TRL_SCRIPT, TRL_STAGES } from './trl-parts.ts';
import { userReferenceCache } from '../node/reference-cache.ts';
import { UsageError } from './failures.ts';

export const CHECKPOINT = 'checkpoint.safetensors';
export const RUN_RECORD = 'run.json';
export const COMPLETION_LOG = 'completions.jsonl';
export const TRAINER_STATE = 'trainer_state.json';
export const METRIC_TABLE = 'log.csv';
export const REPORT = 'report.html';
export const GGUF_ADAPTER = 'adapter.gguf';
/** What every run leaves beside what it trained. */
const TOLD = [RUN_RECORD, TRAINER_STATE, METRIC_TABLE, REPORT] as const;
/** What a run leaves, the one written last first: without it the others are not taken for a result. */
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
  /** What the run will write. */
  writes: keyof typeof LEFT_BEHIND;
  /** Whether it is done in one go, so that nothing can be resumed. */
  atOnce?: boolean;
  resume?: boolean | undefined;
  overwrite?: boolean | undefined;
}

/** Disposing of it lets others use the folder. */
export interface RunFolder extends AsyncDisposable {
  path: string;
  checkpoint: CheckpointStore;
  /** Where log-probabilities of the reference are kept. */
  referenceCache(gpu: Gpu): ReferenceCache;
  /** Whether there was a checkpoint to go on from. */
  resumes: boolean;
  /**
   * Removes what an earlier run left, where that was asked for; a second call leaves what this run has written. Call it
   * once all input has been found good.
   */
  clear(): Promise<void>;
}

/**
 * Takes the folder for this process and looks at it. {@link InputError} where another process uses it, where it cannot be
 * written, or where it holds a run that this one is not allowed to touch.
 */
export async function openRunFolder(path: string, options: RunFolderOptions): Promise<RunFolder> {
  if (options.resume && options.overwrite)
    throw new UsageError('--resume goes on with a run, --overwrite replaces it: give one of them.');
  const lock = await lockFolder(path);
  try {
    return { ...(await lookInto(path, options)), [Symbol.asyncDispose]: () => lock.release() };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Releases all of them; the list may grow until then. */
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
      join(path, found[0] as string),
      stopped ? 'a run was stopped here' : 'a run has been here',
      `Add ${atOnce ? '' : '--resume to go on with it, '}--overwrite to replace it, or choose another --out`,
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
