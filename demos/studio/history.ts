/** The runs that have ended in this browser: what each was, its curves and samples, and its adapter. The worker adds them, the page lists them. */
import { delMany, get, keys, set, update } from 'idb-keyval';
import type { AdapterFiles } from 'webalign/models';
import type { Point } from '../align/messages.ts';
import { browserStore } from '../shared/browser-store.ts';
import type { Settings } from './messages.ts';
import type { MethodName } from './methods.ts';
import type { PolicyCurves, Snapshot } from './policy/curves.ts';
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
  /** Of a run against a reward model: its curves, and the evaluated steps whose adapters are kept, without the last step. */
  policy?: PolicyCurves & { snapshots: readonly number[] };
}

const store = browserStore('webalign-studio-runs', 'runs');
const RUN = 'run ';
/** Of the end of a run, or of an evaluated step. */
const filesKey = (startedAt: number, step?: number) =>
  step === undefined ? `files ${startedAt}` : `files ${startedAt} ${step}`;
const runKey = (startedAt: number) => `${RUN}${startedAt}`;

/** Notes a run that has ended; one that went on takes the place of what it was. Rejects where there is no room. */
export async function addRun(
  run: PastRun,
  files: AdapterFiles,
  snapshots: readonly Snapshot[] = [],
): Promise<void> {
  await set(filesKey(run.startedAt), files, store);
  for (const snapshot of snapshots) await set(filesKey(run.startedAt, snapshot.step), snapshot.files, store);
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

/** The adapter at the end of a run, or after one of its kept steps. */
export const adapterOf = (
  { startedAt }: Pick<PastRun, 'startedAt'>,
  step?: number,
): Promise<AdapterFiles | undefined> => get<AdapterFiles>(filesKey(startedAt, step), store);

/** Does nothing where the run was deleted in another tab. */
export const renameRun = ({ startedAt }: PastRun, name: string): Promise<void> =>
  update<PastRun | undefined>(runKey(startedAt), (run) => run && { ...run, name }, store);

export const deleteRun = ({ startedAt, policy }: PastRun): Promise<void> => {
  const steps = policy?.snapshots ?? [];
  const files = [filesKey(startedAt), ...steps.map((step) => filesKey(startedAt, step))];
  return delMany([...files, runKey(startedAt)], store);
};
