/** Which reference a run has where its trainer names none. */

import type { TokenizedExample } from '../../data/packing.ts';
import type { TrainingConfig } from '../config.ts';
import type { TrainEvent } from '../events.ts';
import type { Task } from '../training-task.ts';
import { CachedReference } from './cached-reference.ts';
import { LiveReference } from './live-reference.ts';
import { MovingReference, NEVER } from './moving-reference.ts';
import type { Reference, ReferenceKind, ReferenceSetup } from './reference.ts';

/** The reference of a task; undefined where neither its loss nor its source has one. */
export function referenceOf(
  { loss, source, temperature = 1, reference }: Task<TrainingConfig>,
  setup: Omit<ReferenceSetup, 'temperature'>,
): Reference | undefined {
  if (!loss.usesReference && !source.usesReference) return undefined;
  const make = reference ?? referenceFor(source.ahead(1) !== undefined);
  return make({ ...setup, temperature });
}

/** Whether the reference of examples that are known is computed before the first step: where not asked, in runs of an epoch or more. */
export function isAhead(
  { source, precomputeRefLogProbs }: Pick<Task<TrainingConfig>, 'source' | 'precomputeRefLogProbs'>,
  totalSteps: number,
): boolean {
  return precomputeRefLogProbs ?? totalSteps >= source.stepsPerEpoch;
}

/** Gets the reference ready for lists of examples, or lets it hear of them only, where it can compute them later. */
export async function* beginReference(
  reference: Reference | undefined,
  lists: readonly (readonly TokenizedExample[])[],
  ahead: boolean,
): AsyncGenerator<TrainEvent> {
  for (const list of lists)
    yield* (reference?.expect && !ahead ? reference.expect(list) : reference?.prepare(list)) ?? [];
}

/** Computes what is lacking for examples to be judged on. Returns whether the signal lets it go on. */
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

/** Computes what is lacking for the examples of a step; what it tells of each batch is left out. */
export async function* dueOf(
  reference: Reference | undefined,
  examples: readonly TokenizedExample[],
): AsyncGenerator<TrainEvent> {
  for await (const event of reference?.due?.(examples) ?? []) if (event.type === 'notice') yield event;
}

/**
 * The reference is the model without the trained adapter. Where an adapter is continued, or all weights train, it is the
 * model as it stands before the first step; where examples are made on the way, with numbers of its own then.
 */
export function referenceFor(knownAhead: boolean): ReferenceKind {
  if (knownAhead) return ({ model, ...setup }) => new CachedReference(model, setup);
  return ({ model, parameters, without, temperature }) =>
    without
      ? new LiveReference(model, without, temperature)
      : new MovingReference(model, parameters, NEVER, temperature);
}
