/** What a run that has ended is called at its end and after its kept steps, and which of them a name means. */
import type { PastRun } from './history.ts';
import type { PastSide, Side } from './messages.ts';
import { runName } from './record.ts';

type Named = Pick<PastRun, 'startedAt' | 'name' | 'policy'>;

export const isPast = (side: Side): side is PastSide => side.startsWith('run ');

/** The start of a run, and the step if it is not its end. */
export function placeOf(side: PastSide): { startedAt: number; step: number | undefined } {
  const [, startedAt, , step] = side.split(' ');
  return { startedAt: Number(startedAt), step: step === undefined ? undefined : Number(step) };
}

/** The writer of a run after a step. */
export const sideAt = ({ startedAt, step }: Pick<PastRun, 'startedAt' | 'step'>, at: number): PastSide =>
  at === step ? `run ${startedAt}` : `run ${startedAt} step ${at}`;

/** What the adapter of a run writes under. */
export const nameAt = ({ name }: Pick<PastRun, 'name'>, step: number | undefined): string =>
  step === undefined ? name : `${name}, step ${step}`;

/** Every writer that runs offer: each at its end, and after its kept steps. */
export function pastWriters(runs: readonly Named[]): (readonly [side: PastSide, label: string])[] {
  return runs.flatMap((run) => {
    const { startedAt, policy } = run;
    const kept = (policy?.snapshots ?? []).map(
      (step) => [`run ${startedAt} step ${step}`, nameAt(run, step)] as const,
    );
    return [[`run ${startedAt}`, run.name] as const, ...kept];
  });
}

/**
 * The step of a run that a name means; undefined where it means another one. A run keeps the name that it was begun with beside the one
 * that its person gave it.
 */
export function stepNamed(
  run: Pick<PastRun, 'startedAt' | 'name' | 'policy' | 'method' | 'step'>,
  name: string,
): number | undefined {
  const { startedAt, method, step, policy } = run;
  const begun = runName({ startedAt, lesson: { method } });
  for (const own of [run.name, begun]) {
    if (name === own) return step;
    // Steps that were taken back stand behind the number.
    for (const at of [step, ...(policy?.snapshots ?? [])])
      if (name === `${own}, step ${at}` || name.startsWith(`${own}, step ${at} `)) return at;
  }
  return undefined;
}
