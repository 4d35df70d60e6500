/**
 * Errors of a run that are not caused by invalid input.
 */
import type { Metrics } from './events.ts';

/**
 * The loss or the gradient is not finite. The weights are unchanged since the step before; a checkpoint only contains weights that
 * give a finite loss.
 */
export class NonFiniteLossError extends Error {
  override name = 'NonFiniteLossError';
  constructor(
    readonly step: number,
    readonly metrics: Metrics,
    /** The step whose state is in the checkpoint; undefined if there is none. */
    readonly keptStep?: number,
  ) {
    const found = `step ${step}: the loss is ${metrics.loss} and the gradient norm ${metrics.grad_norm}.`;
    const wayOut =
      keptStep === undefined
        ? 'No checkpoint was written: start again with a lower learning rate'
        : `The checkpoint keeps the run after step ${keptStep}: resume with a lower learning rate`;
    super(`${found} ${wayOut}, or look for invalid rows in the data.`);
  }
}
