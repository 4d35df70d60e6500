/** A run that has ended, for the history: its facts from the record and the checkpoint. */
import type { RunState } from 'webalign/trainers';
import { historyOf } from '../align/telling.ts';
import type { PastRun } from './history.ts';
import { methodOf } from './methods.ts';
import { runName, type StudioRecord } from './record.ts';
import { samplePrompts } from './samples.ts';

export function pastRunOf(record: StudioRecord, state: RunState | undefined, model: string): PastRun {
  const { startedAt, lesson, samples } = record;
  const { method, settings, train } = lesson;
  const curves = historyOf(state?.log);
  return {
    startedAt,
    name: runName(record),
    model,
    method,
    settings,
    rows: methodOf(method).count(train),
    step: state?.step ?? 0,
    heldOut: curves.heldOut.at(-1) ?? { loss: Number.NaN, accuracy: Number.NaN },
    curves,
    samples: { prompts: samplePrompts(lesson), taken: samples },
  };
}
