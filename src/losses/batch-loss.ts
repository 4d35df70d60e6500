/**
 * The loss of a batch with scored rows: on sums over completions, or on the rows themselves if
 * it is a loss on tokens. Selects the driver for a unit, and prepares and adjusts the sums.
 */
import { sequenceSums } from '../ops/sequence-sum.ts';
import { weighPairs } from '../ops/wpo.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { completionLoss, type Lengths } from './completion-loss.ts';
import type { TrainingLoss } from './family.ts';
import type { Loss } from './loss.ts';
import { tokenLoss } from './token-loss.ts';
import { PAIR_RECORD } from './units.ts';

/** R scored rows of S completions. */
export interface ScoredRows {
  /** (R) log π of each token, or other scores. */
  values: Tensor;
  /** (R, 3) as returned by `tokenLogprobs`; needed only if pairs are weighted. */
  stats?: Tensor | undefined;
  /** (R) log π_ref; default: 0. */
  reference?: Tensor | undefined;
  /** (S + 1) u32. */
  offsets: Tensor;
  /** The columns that the loss reads, by name. */
  columns: Readonly<Record<string, Tensor>>;
}

/** The larger units that the batch belongs to. */
export interface BatchShare {
  /** 1 / records of the optimizer step. */
  scale: number;
  lengths: Lengths;
}

/**
 * Records (n, width) of the batch, which live as long as the tape. If `values` need a gradient, `tape.backward()`
 * continues from the derivative. Throws like {@link completionLoss} and {@link tokenLoss}.
 */
export function batchLoss(
  tape: Tape,
  loss: TrainingLoss,
  scored: ScoredRows,
  share: BatchShare,
): { records: Tensor } {
  return DRIVERS[loss.about](tape, loss, scored, share);
}

type Driver = typeof batchLoss;

/** Sums over completions, with the adjustments for pairs. */
const bySums: Driver = (tape, loss, { values, stats, reference, offsets, columns }, share) => {
  const { gpu } = tape;
  const sums = sequenceSums(tape, values, offsets, loss.ldAlpha);
  const whole = loss.ldAlpha === 1 ? sums : sequenceSums(tape, values, offsets);
  const base = reference ? sequenceSums(tape, reference, offsets, loss.ldAlpha) : zeros(tape, sums.length);
  const completions = { sums, whole, reference: base, offsets, columns };
  const settings = { ...share, divergence: loss.divergence };
  const { records } = completionLoss(tape, loss.terms, completions, settings);
  if (loss.weighted) {
    if (!stats) throw new Error('weighted pairs need statistics of their tokens, which were not computed');
    weighPairs(gpu, { logprobs: values, stats }, offsets, {
      records,
      columns: PAIR_RECORD,
      slopes: [...new Set([sums.grad, whole.grad])].filter((grad) => grad !== undefined),
    });
  }
  return { records };
};

const byTokens: Driver = (tape, loss, { values, reference, offsets, columns }, share) => {
  const base = reference ?? zeros(tape, values.length);
  return tokenLoss(tape, loss.terms, { logprobs: values, reference: base, offsets, columns }, share);
};

const DRIVERS: Readonly<Record<Loss['unit'], Driver>> = {
  pair: bySums,
  example: bySums,
  token: byTokens,
};

/** A placeholder for a missing reference. */
function zeros(tape: Tape, count: number): Tensor {
  const tensor = tape.empty([count], 'no reference', 'f32', 'reference');
  tape.gpu.recorder.clear(tensor);
  return tensor;
}
