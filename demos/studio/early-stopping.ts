/** Whether a run should end before its last step, by its held-out losses. */
import type { EvaluateEvent, RunState } from 'webalign/trainers';
import { historyOf } from '../align/telling.ts';

/**
 * Whether so many evaluations in a row gave no held-out loss below the lowest before them, as the EarlyStoppingCallback of
 * transformers counts them with a threshold of 0. A patience of 0 never ends a run.
 */
export function hasStalled(heldOutLosses: readonly number[], patience: number): boolean {
  if (patience === 0) return false;
  const best = heldOutLosses.indexOf(Math.min(...heldOutLosses));
  return heldOutLosses.length - 1 - best >= patience;
}

export const heldOutLoss = ({ metrics }: Pick<EvaluateEvent, 'metrics'>): number =>
  metrics.eval_loss ?? Number.NaN;

/** Held-out losses of a run so far, in order. */
export const lossesOf = (state: RunState | undefined): number[] =>
  historyOf(state?.log).heldOut.map(({ loss }) => loss);
