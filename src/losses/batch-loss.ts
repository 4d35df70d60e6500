/**
 * The loss of a batch whose rows are scored: sums over completions where the loss is about those, the rows themselves where
 * it is about tokens. What stands here is which driver serves which unit, and what is done with sums before and after.
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
  /** (R, 3) as `tokenLogprobs` has them; needed only where pairs are weighed. */
  stats?: Tensor | undefined;
  /** (R) log π_ref; 0 where it is left out. */
  reference?: Tensor | undefined;
  /** (S + 1) u32. */
  offsets: Tensor;
  /** What the loss reads beside, by name. */
  columns: Readonly<Record<string, Tensor>>;
}

/** What the batch is a part of. */
export interface BatchShare {
  /** 1 / records of the optimizer step. */
  scale: number;
  lengths: Lengths;
}

/**
 * Records (n, width) of the batch, which live as long as the tape. Where `values` need a gradient, `tape.backward()`
 * continues from the derivative. Throws as {@link completionLoss} and {@link tokenLoss} do.
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

/** Sums over completions, with what is done to pairs on the way. */
const bySums: Driver = (tape, loss, { values, stats, reference, offsets, columns }, share) => {
  const { gpu } = tape;
  const sums = sequenceSums(tape, values, offsets, loss.ldAlpha);
  const whole = loss.ldAlpha === 1 ? sums : sequenceSums(tape, values, offsets);
  const base = reference ? sequenceSums(tape, reference, offsets, loss.ldAlpha) : zeros(tape, sums.length);
  const completions = { sums, whole, reference: base, offsets, columns };
  const settings = { ...share, divergence: loss.divergence };
  const { records } = completionLoss(tape, loss.terms, completions, settings);
  if (loss.weighted) {
    if (!stats) throw new Error('pairs are weighed by statistics of their tokens, which were not computed');
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

/** What stands for a reference where there is none. */
function zeros(tape: Tape, count: number): Tensor {
  const tensor = tape.empty([count], 'no reference', 'f32', 'reference');
  tape.gpu.recorder.clear(tensor);
  return tensor;
}
