/** The reference of a run if its trainer does not choose one. */

import type { TokenizedExample } from '../../data/packing.ts';
import type { TrainingConfig } from '../config.ts';
import type { TrainEvent } from '../events.ts';
import type { Task } from '../training-task.ts';
import { CachedReference } from './cached-reference.ts';
import { LiveReference } from './live-reference.ts';
import { MovingReference, NEVER } from './moving-reference.ts';
import type { Reference, ReferenceKind, ReferenceSetup } from './reference.ts';

/** The reference of a task; undefined if neither its loss nor its source has one. */
export function referenceOf(
  { loss, source, temperature = 1, reference }: Task<TrainingConfig>,
  setup: Omit<ReferenceSetup, 'temperature'>,
): Reference | undefined {
  if (!loss.usesReference && !source.usesReference) return undefined;
  const make = reference ?? referenceFor(source.ahead(1) !== undefined);
  return make({ ...setup, temperature });
}

/** Whether the reference of known examples is computed before the first step; default: in runs of an epoch or more. */
export function isAhead(
  { source, precomputeRefLogProbs }: Pick<Task<TrainingConfig>, 'source' | 'precomputeRefLogProbs'>,
  totalSteps: number,
): boolean {
  return precomputeRefLogProbs ?? totalSteps >= source.stepsPerEpoch;
}

/** Prepares the reference for lists of examples, or only announces them if it can compute them later. */
export async function* beginReference(
  reference: Reference | undefined,
  lists: readonly (readonly TokenizedExample[])[],
  ahead: boolean,
): AsyncGenerator<TrainEvent> {
  for (const list of lists)
    yield* (reference?.expect && !ahead ? reference.expect(list) : reference?.prepare(list)) ?? [];
}

/** Computes missing values for evaluation. Returns false if the signal stopped it. */
export async function* dueUnless(
  signal: AbortSignal | undefined,
  reference: Reference | undefined,
  examples: readonly TokenizedExample[],
): AsyncGenerator<TrainEvent, boolean> {
  for await (const event of reference?.due?.(examples) ?? []) {
    yield event;
    if (signal?.aborted) return false;
  }
  return true;
}

/** Computes missing values for the examples of a step; progress per batch is not reported. */
export async function* dueOf(
  reference: Reference | undefined,
  examples: readonly TokenizedExample[],
): AsyncGenerator<TrainEvent> {
  for await (const event of reference?.due?.(examples) ?? []) if (event.type === 'notice') yield event;
}

/**
 * The reference is the model without the trained adapter. If an adapter's training continues, or all weights train, it is the
 * model before the first step; if examples are also made during the run, it then has its own weights.
 */
export function referenceFor(knownAhead: boolean): ReferenceKind {
  if (knownAhead) return ({ model, ...setup }) => new CachedReference(model, setup);
  return ({ model, parameters, without, temperature }) =>
    without
      ? new LiveReference(model, without, temperature)
      : new MovingReference(model, parameters, NEVER, temperature);
}
