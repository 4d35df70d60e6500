/** What is kept of a run in this browser, beside its checkpoint, and the name of a run. */
import { counted } from '../../src/base/counted.ts';
import type { Kept } from '../shared/kept.ts';
import type { RunRecord } from '../shared/run-job.ts';
import type { Best } from './early-stopping.ts';
import type { Lesson } from './messages.ts';
import { methodOf } from './methods.ts';
import type { OnlineRecord } from './online/run.ts';
import type { PolicyRecord } from './policy/curves.ts';
import type { Sample } from './samples.ts';

export interface StudioRecord extends RunRecord {
  /** What it learns from, as it was when the run was started. */
  lesson: Lesson;
  /** What the model wrote on the way. */
  samples: readonly Sample[];
  /** The adapter where the held-out loss was lowest. */
  best?: Best;
  /** Of a run that learns while its person picks. */
  online?: OnlineRecord;
  /** Of a run against the reward model. */
  policy?: PolicyRecord;
}

export type StudioKept = Kept<StudioRecord>;

/** `DPO 2026-11-30 07:50`, in the time of this machine. */
export function runName({
  startedAt,
  lesson: { method },
}: {
  startedAt: number;
  lesson: Pick<Lesson, 'method'>;
}): string {
  const date = new Date(startedAt);
  const local = new Date(startedAt - date.getTimezoneOffset() * 60_000).toISOString();
  return `${methodOf(method).label} ${local.slice(0, 16).replace('T', ' ')}`;
}

/** What the model is called that a run has trained for so many steps. Steps that were taken back make it another one. */
export function adapterName(record: StudioRecord, step: number): string {
  const backs = record.online?.backs ?? 0;
  const again = backs > 0 ? ` after ${counted(backs, 'step')} back` : '';
  return `${runName(record)}, step ${step}${again}`;
}
