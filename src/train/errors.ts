/**
 * What can go wrong in a run that is no fault of its input.
 */
import type { Metrics } from './events.ts';

/** The loss or the gradient is no longer a number. The weights were left as before that step. */
export class NonFiniteLossError extends Error {
  override name = 'NonFiniteLossError';
  constructor(
    readonly step: number,
    metrics: Metrics,
  ) {
    super(
      `step ${step}: the loss is ${metrics.loss} and the gradient norm ${metrics.grad_norm}. The last checkpoint is kept; ` +
        'resume from it with a lower learning rate, or look for odd rows in the data.',
    );
  }
}
