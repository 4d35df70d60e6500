/** A run that has ended, for the history: its facts from the record and the checkpoint. */
import { writeAdapter } from 'webalign/models';
import { type RunState, readRunState } from 'webalign/trainers';
import { historyOf } from '../align/telling.ts';
import { addRun, type PastRun } from './history.ts';
import { methodOf } from './methods.ts';
import { policyCurves } from './policy/run.ts';
import { runName, type StudioKept, type StudioRecord } from './record.ts';
import type { Runtime } from './runtime.ts';
import { samplePrompts } from './samples.ts';

/** Puts a run that has ended into the history. Rejects where this browser has no room. */
export async function remember(
  { runtime, kept, model }: { runtime: Runtime; kept: StudioKept; model: string },
  record: StudioRecord,
): Promise<void> {
  const adapter = runtime.trainer?.adapter;
  if (!adapter) return;
  const run = pastRunOf(record, await readRunState(kept.checkpoint), model);
  const files = writeAdapter(await runtime.turns.run(() => adapter.toAdapter()));
  const snapshots = record.policy?.snapshots ?? [];
  await addRun(
    run,
    files,
    snapshots.filter(({ step }) => step < run.step),
  );
}

export function pastRunOf(record: StudioRecord, state: RunState | undefined, model: string): PastRun {
  const { startedAt, lesson, samples } = record;
  const { method, settings, train } = lesson;
  const step = state?.step ?? 0;
  const policy = policyCurves(record, state);
  const none: PastRun['curves'] = { train: [], heldOut: [] };
  const curves = policy ? none : historyOf(state?.log);
  const steps = record.policy?.snapshots.map((snapshot) => snapshot.step) ?? [];
  return {
    startedAt,
    name: runName(record),
    model,
    method,
    settings,
    rows: methodOf(method).count(train),
    step,
    heldOut: curves.heldOut.at(-1) ?? { loss: Number.NaN, accuracy: Number.NaN },
    curves,
    samples: { prompts: samplePrompts(lesson), taken: samples },
    ...(policy && { policy: { ...policy, snapshots: steps.filter((at) => at < step) } }),
  };
}
