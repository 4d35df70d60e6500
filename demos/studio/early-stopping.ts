/** Whether a run should end before its last step, by its held-out losses. */
import { type AdapterFiles, writeAdapter } from 'webalign/models';
import type { EvaluateEvent, RunState, Trainer } from 'webalign/trainers';
import { historyOf } from '../align/telling.ts';
import type { Lesson } from './messages.ts';
import { methodOf } from './methods.ts';
import type { Runtime } from './runtime.ts';

/**
 * Whether so many evaluations in a row gave no held-out loss below the lowest before them, as the EarlyStoppingCallback of
 * transformers counts them with a threshold of 0. A patience of 0 never ends a run.
 */
export function hasStalled(heldOutLosses: readonly number[], patience: number): boolean {
  if (patience === 0) return false;
  const best = heldOutLosses.indexOf(Math.min(...heldOutLosses));
  return heldOutLosses.length - 1 - best >= patience;
}

/** The adapter where the held-out loss is lowest, and its step. */
export interface Best {
  step: number;
  loss: number;
  files: AdapterFiles;
}

/** The adapter as it stands, if its held-out loss is below that of the best one so far. */
export async function betterThan(
  best: Best | undefined,
  { runtime, trainer: { adapter } }: { runtime: Pick<Runtime, 'turns'>; trainer: Pick<Trainer, 'adapter'> },
  event: EvaluateEvent,
): Promise<Best | undefined> {
  const loss = heldOutLoss(event);
  if (!adapter || !(loss < (best?.loss ?? Number.POSITIVE_INFINITY))) return undefined;
  return { step: event.step, loss, files: writeAdapter(await runtime.turns.run(() => adapter.toAdapter())) };
}

/** Of a method that has it; a run on rollouts has no held-out loss. */
export const patienceOf = ({ method, settings }: Pick<Lesson, 'method' | 'settings'>): number =>
  methodOf(method).settings.includes('earlyStoppingPatience') ? settings.earlyStoppingPatience : 0;

export const heldOutLoss = ({ metrics }: Pick<EvaluateEvent, 'metrics'>): number =>
  metrics.eval_loss ?? Number.NaN;

/** Held-out losses of a run so far, in order. */
export const lossesOf = (state: RunState | undefined): number[] =>
  historyOf(state?.log).heldOut.map(({ loss }) => loss);
