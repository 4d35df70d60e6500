/** Which reference a run has where its trainer names none. */
import { CachedReference } from './cached-reference.ts';
import { LiveReference } from './live-reference.ts';
import { MovingReference, NEVER } from './moving-reference.ts';
import type { ReferenceKind } from './reference.ts';

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
