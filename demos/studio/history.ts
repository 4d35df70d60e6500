/** The runs that have ended in this browser: what each was, its curves and samples, and its adapter. The worker adds them, the page lists them. */
import { createStore, delMany, get, keys, set, update } from 'idb-keyval';
import type { AdapterFiles } from 'webalign/models';
import type { Point } from '../align/messages.ts';
import type { Settings } from './messages.ts';
import type { MethodName } from './methods.ts';
import type { Samples } from './samples.ts';

export interface PastRun {
  /** Milliseconds since 1970, by which a run is known. */
  startedAt: number;
  name: string;
  model: string;
  method: MethodName;
  settings: Settings;
  /** Rows that it learned from. */
  rows: number;
  step: number;
  /** On the held-out rows at the end; not a number where none was held out. */
  heldOut: { loss: number; accuracy: number };
  curves: { train: readonly Point[]; heldOut: readonly Point[] };
  samples: Samples;
}

const store = createStore('webalign-studio-runs', 'runs');
const RUN = 'run ';
const filesKey = (startedAt: number) => `files ${startedAt}`;
const runKey = (startedAt: number) => `${RUN}${startedAt}`;

/** Notes a run that has ended; one that went on takes the place of what it was. Rejects where there is no room. */
export async function addRun(run: PastRun, files: AdapterFiles): Promise<void> {
  await set(filesKey(run.startedAt), files, store);
  await set(runKey(run.startedAt), run, store);
}

/** The latest first. Adapters are not read. */
export async function pastRuns(): Promise<PastRun[]> {
  const all = (await keys<string>(store)).filter((key) => key.startsWith(RUN));
  const runs = await Promise.all(all.map((key) => get<PastRun>(key, store)));
  return runs.filter((run) => run !== undefined).toSorted((a, b) => b.startedAt - a.startedAt);
}

/** The run that was started then; undefined where it was deleted. */
export const pastRun = (startedAt: number): Promise<PastRun | undefined> =>
  get<PastRun>(runKey(startedAt), store);

export const adapterOf = ({ startedAt }: PastRun): Promise<AdapterFiles | undefined> =>
  get<AdapterFiles>(filesKey(startedAt), store);

/** Does nothing where the run was deleted in another tab. */
export const renameRun = ({ startedAt }: PastRun, name: string): Promise<void> =>
  update<PastRun | undefined>(runKey(startedAt), (run) => run && { ...run, name }, store);

export const deleteRun = ({ startedAt }: PastRun): Promise<void> =>
  delMany([filesKey(startedAt), runKey(startedAt)], store);
