/**
 * The policy's way through a batch: hidden states, the rows that carry loss, their log-probabilities, and what the
 * metrics want of them. Used with a tape to train, without one to score.
 */
import type { BufferView } from '../gpu/pool.ts';
import type { DeviceBatch } from '../model/batch.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import type { Kept } from '../model/decoder.ts';
import { gather } from '../ops/gather.ts';
import { product } from '../ops/product.ts';
import { padded } from '../ops/product-size.ts';
import { headLogprobs, type TokenLogprobs } from '../ops/token-logprob.ts';
import type { Tape } from '../tensor/tape.ts';
import { Tensor } from '../tensor/tensor.ts';

/** The hidden states that carry loss, (R, d). */
function lossRows(tape: Tape, model: CausalLM, batch: DeviceBatch, kept?: Kept): Tensor {
  return gather(tape, model.hidden(tape, batch, kept), batch.lossRows);
}

/** log π(target | what comes before) of every loss row of the batch, (R). */
export function rowLogprobs(tape: Tape, model: CausalLM, batch: DeviceBatch): Tensor {
  return headLogprobs(tape, lossRows(tape, model, batch), model.head, batch.targets).logprobs;
}

/** What a backward pass will find. */
export interface BackwardSettings {
  /** What is kept of activations. */
  kept: Kept;
  /** Tokens less probable than this get no gradient from the head; 0 leaves out none. */
  filterEps: number;
}

export interface RowScores extends TokenLogprobs {
  /** (R): mean of the row's logits over the vocabulary. */
  logitMeans: Tensor;
}

/** The same with all that the metrics want. */
export function scoreRows(
  tape: Tape,
  model: CausalLM,
  batch: DeviceBatch,
  vocabularyMean: VocabularyMean,
  { kept, filterEps }: BackwardSettings,
): RowScores {
  const rows = lossRows(tape, model, batch, kept);
  const logitMeans = tape.empty([rows.rows], 'logit means');
  const size = { m: rows.rows, n: 1, k: rows.cols };
  product(tape.gpu, 'nt', rows, vocabularyMean.of(tape), logitMeans, size);
  return { logitMeans, ...headLogprobs(tape, rows, model.head, batch.targets, { filterEps }) };
}

/**
 * The mean row of the head, (1, d): a hidden state times it is the mean of that state's logits, so no logits are needed.
 * Computed once where the head is frozen.
 */
export class VocabularyMean {
  private readonly ones: Tensor;
  private readonly mean: Tensor;
  private fresh = false;

  constructor(private readonly model: CausalLM) {
    const { gpu, head } = model;
    const ones = new Float32Array(padded(head.rows)).fill(1, 0, head.rows);
    this.ones = Tensor.from(gpu, ones, [1, ones.length], 'ones');
    this.mean = new Tensor(
      gpu.pool.allocate(head.cols * 4, 'vocabulary mean'),
      [1, head.cols],
      'f32',
      'vocabulary mean',
    );
  }

  of(tape: Tape): BufferView {
    const { head } = this.model;
    if (!this.fresh) {
      const size = { m: 1, n: head.cols, k: head.rows, aStride: this.ones.cols };
      product(tape.gpu, 'nn', this.ones, head, this.mean, size, { scale: 1 / head.rows });
      this.fresh = !head.isParameter && !tape.gpu.counting;
    }
    return this.mean;
  }

  dispose(): void {
    this.model.gpu.pool.release(this.ones);
    this.model.gpu.pool.release(this.mean);
  }
}
