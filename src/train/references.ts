/** Which reference a run has where its trainer names none. */

import { CachedReference } from './cached-reference.ts';
import type { TrainingConfig } from './config.ts';
import { LiveReference } from './live-reference.ts';
import { MovingReference, NEVER } from './moving-reference.ts';
import type { Reference, ReferenceKind, ReferenceSetup } from './reference.ts';
import type { Task } from './task.ts';

/** The reference of a task; undefined where neither its loss nor its source has one. */
export function referenceOf(
  { loss, source, temperature = 1, reference }: Task<TrainingConfig>,
  setup: Omit<ReferenceSetup, 'temperature'>,
): Reference | undefined {
  if (!loss.usesReference && !source.usesReference) return undefined;
  const make = reference ?? referenceFor(source.ahead(1) !== undefined);
  return make({ ...setup, temperature });
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
