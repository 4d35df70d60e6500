/**
 * What can go wrong in a run that is no fault of its input.
 */
import type { Metrics } from './events.ts';

/**
 * The loss or the gradient is no longer a number. The weights were left as before that step; a checkpoint has only weights that
 * give a finite loss.
 */
export class NonFiniteLossError extends Error {
  override name = 'NonFiniteLossError';
  constructor(
    readonly step: number,
    readonly metrics: Metrics,
    /** The step after which the run is kept in its checkpoint; undefined where there is none. */
    readonly keptStep?: number,
  ) {
    const found = `step ${step}: the loss is ${metrics.loss} and the gradient norm ${metrics.grad_norm}.`;
    const wayOut =
      keptStep === undefined
        ? 'No checkpoint was written: start again with a lower learning rate'
        : `The checkpoint keeps the run after step ${keptStep}: resume with a lower learning rate`;
    super(`${found} ${wayOut}, or look for odd rows in the data.`);
  }
}
