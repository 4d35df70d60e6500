/** What a person should know of a run that has ended, from its figures, a sentence each. */
import { adviceOn, type RunState } from 'webalign/trainers';
import { counted } from '../../src/base/counted.ts';
import { own } from '../../src/base/lookup.ts';
import { hasStalled, lossesOf, patienceOf } from './early-stopping.ts';
import { methodOf } from './methods.ts';
import type { StudioRecord } from './record.ts';
import { LABELS } from './settings.ts';

export function adviceLines(
  { lesson, best, totalSteps }: StudioRecord,
  state: RunState | undefined,
): string[] {
  const { method, settings, train } = lesson;
  const advice = adviceOn({
    log: state?.log ?? [],
    examples: methodOf(method).count(train),
    config: settings,
    rank: settings.r,
  });
  const lines = advice.map(({ sentence }) => sentence.toString((name) => own(LABELS, name) ?? name));
  const step = state?.step ?? 0;
  if (best && best.step < step) {
    const at = `step ${best.step} (${best.loss.toFixed(3)})`;
    lines.unshift(
      `The held-out loss was lowest at ${at}: the tab Keep also exports the adapter of that step.`,
    );
  }
  const patience = patienceOf(lesson);
  if (step < totalSteps && hasStalled(lossesOf(state), patience))
    lines.unshift(
      `The run ended early: the held-out loss had not fallen for ${counted(patience, 'evaluation')}.`,
    );
  return lines;
}
