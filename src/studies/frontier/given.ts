/**
 * A run that was made separately from the study, given by its folder: finds its entry of the frontier, and its amount of
 * training.
 */

import { contentHash, InputError } from 'webalign/files';
import { ADAPTER_WEIGHTS, type Adapter } from 'webalign/models';
import { folderFiles } from 'webalign/node';
import { readAdapterFor } from '../../cli/open.ts';
import { EMBEDDED } from '../../cli/package.ts';
import { readRuns } from '../../cli/run-record.ts';
import type { Entry, FrontierTask } from './task.ts';

export interface GivenRun {
  entry: Entry;
  adapter: Adapter;
  steps: number;
  /** Number of stories generated for training. */
  written: number;
  /** Hash of its weights. */
  weights: string;
}

/** Throws {@link InputError} for a folder that is not a finished run, or that has no entry in the frontier. */
export async function readGiven(
  folder: string,
  { entries }: FrontierTask,
  onNotice: (line: string) => void,
): Promise<GivenRun> {
  const open = entries.filter(({ isGiven }) => isGiven);
  const places = open.map(({ method, settings }) => `${method} at beta ${settings.beta}`).join(', ');
  const run = await readRuns(folder);
  if (run instanceof Map) throw new InputError(folder, 'is a run in stages', `Name a run of ${places}`);
  const { method, settings } = run.record;
  const { beta, maxSteps, perDeviceTrainBatchSize, gradientAccumulationSteps } =
    settings as typeof settings & { beta?: number };
  const entry = open.find((each) => each.method === method && each.settings.beta === beta);
  if (!entry) {
    const wayOut = `Name a run of ${places || 'the frontier without --quick'}`;
    throw new InputError(folder, `is a run of ${method} at beta ${beta}`, wayOut);
  }
  if (!(maxSteps > 0))
    throw new InputError(folder, 'does not state its number of steps', 'Train with --max-steps');
  const files = folderFiles(folder);
  return {
    entry,
    adapter: await readAdapterFor(folderFiles(EMBEDDED.model), folder, onNotice),
    steps: maxSteps,
    written: maxSteps * perDeviceTrainBatchSize * gradientAccumulationSteps,
    weights: await contentHash(await files.read(ADAPTER_WEIGHTS)),
  };
}
