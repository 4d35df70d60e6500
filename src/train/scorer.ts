/**
 * How the model scores a batch, as a strategy: the log-probability of every target, or a number
 * at the end of each completion (a reward), or at every target (a value). A loss works with any of them, because it only reads one number
 * per row. With a tape it is used for training, without one for scoring.
 */
import type { ScoredRows } from '../data/packing.ts';
import { Random } from '../data/random.ts';
import type { BufferView } from '../gpu/pool.ts';
import { InputError } from '../io/errors.ts';
import { SCORE_HEAD } from '../io/peft-head.ts';
import type { DeviceBatch } from '../model/batch.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import type { Kept } from '../model/decoder.ts';
import { gather } from '../ops/gather.ts';
import { linear } from '../ops/linear.ts';
import { product } from '../ops/product.ts';
import { padded } from '../ops/product-size.ts';
import { headLogprobs, type TokenLogprobs } from '../ops/token-logprob.ts';
import type { ParameterSpec, ParameterStore } from '../tensor/parameters.ts';
import type { Tape } from '../tensor/tape.ts';
import { Tensor } from '../tensor/tensor.ts';

/** Options of the backward pass. */
export interface BackwardSettings {
  /** How activations are kept. */
  kept: Kept;
  /** The head computes no gradient for tokens less probable than this; 0 skips none. */
  filterEps: number;
}

/** Of R rows. */
export interface Scores {
  /** (R) */
  values: Tensor;
  /** (R, 3) as returned by `tokenLogprobs`; only for log-probabilities. */
  stats?: Tensor;
  /** (R): mean of the row's logits over the vocabulary; only for log-probabilities. */
  logitMeans?: Tensor;
}

export interface Scorer {
  /** Which hidden states are scored. */
  readonly rows: ScoredRows;
  score(tape: Tape, batch: DeviceBatch, settings: BackwardSettings): Scores;
  dispose(): void;
}

/** A kind of scorer: its parameters besides the adapter, and its constructor. */
export interface ScorerKind {
  parameters(model: CausalLM, seed: number): readonly ParameterSpec[];
  create(model: CausalLM, parameters: Pick<ParameterStore, 'get'>): Scorer;
}

/** Log-probabilities under the policy that samples at this temperature. */
export function logprobs(temperature = 1): ScorerKind {
  return { parameters: () => [], create: (model) => new LogprobScorer(model, temperature) };
}

/** A learned number at these rows. `head` is the initial head if an adapter's training continues; by default it is random. */
export function scalars(rows: ScoredRows, head?: Float32Array): ScorerKind {
  return {
    parameters: (model, seed) => [head ? knownHead(model, head) : freshHead(model, seed)],
    create: (model, parameters) => new ScalarScorer(model, parameters.get(SCORE_HEAD), rows),
  };
}

/** transformers' default `initializer_range`. */
const HEAD_DEVIATION = 0.02;

/** A head (1, d) without bias, normally distributed as in transformers. */
function freshHead({ head: { cols } }: CausalLM, seed: number): ParameterSpec {
  return { name: SCORE_HEAD, shape: [1, cols], values: freshHeadValues(cols, seed) };
}

/** Its weights, one per hidden element. */
export function freshHeadValues(hidden: number, seed: number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: hidden }, () => HEAD_DEVIATION * random.normal());
}

function knownHead({ head: { cols }, name }: CausalLM, values: Float32Array): ParameterSpec {
  if (values.length === cols) return { name: SCORE_HEAD, shape: [1, cols], values };
  const what = `has ${values.length} weights, but the hidden states of ${name} have ${cols} elements`;
  throw new InputError('the head of the adapter', what, 'Use an adapter that was made for this model');
}

/**
 * The scored hidden states, (R, d), scaled. Logits are linear in them, so this scales the logits before their
 * log-sum-exp, and the gradients too: by the model's own multiplier and 1 / temperature.
 */
function scoredStates(tape: Tape, model: CausalLM, batch: DeviceBatch, scale = 1, kept?: Kept): Tensor {
  return gather(tape, model.hidden(tape, batch, kept), batch.lossRows, scale);
}

/**
 * log π(target | context) of every scored row of the batch, (R), for the policy that samples at this temperature.
 */
export function rowLogprobs(tape: Tape, model: CausalLM, batch: DeviceBatch, temperature = 1): Tensor {
  return rowScores(tape, model, batch, temperature).logprobs;
}

/** The same with the statistics of each row. */
export function rowScores(tape: Tape, model: CausalLM, batch: DeviceBatch, temperature = 1): TokenLogprobs {
  const states = scoredStates(tape, model, batch, model.logitScale / temperature);
  return headLogprobs(tape, states, model.head, batch.targets, { softCap: softCapAt(model, temperature) });
}

/** The soft cap of logits that have been divided by the temperature: cap / T · tanh(z / T / (cap / T)) = cap · tanh(z / cap) / T. */
function softCapAt({ config: { logitSoftCap } }: CausalLM, temperature: number): number | undefined {
  return logitSoftCap === undefined ? undefined : logitSoftCap / temperature;
}

/** The output of a head (1, d) for every scored row of the batch, (R, 1). */
export function scalarRows(
  tape: Tape,
  model: CausalLM,
  batch: DeviceBatch,
  head: Tensor,
  kept?: Kept,
): Tensor {
  return linear(tape, scoredStates(tape, model, batch, 1, kept), head);
}

class LogprobScorer implements Scorer {
  readonly rows = 'targets';
  private readonly vocabularyMean: VocabularyMean;

  constructor(
    private readonly model: CausalLM,
    private readonly temperature: number,
  ) {
    this.vocabularyMean = new VocabularyMean(model);
  }

  score(tape: Tape, batch: DeviceBatch, { kept, filterEps }: BackwardSettings): Scores {
    const { model, temperature, vocabularyMean } = this;
    const states = scoredStates(tape, model, batch, model.logitScale / temperature, kept);
    const logitMeans = tape.empty([states.rows], 'logit means', 'f32', 'head');
    const softCap = softCapAt(model, temperature);
    const size = { m: states.rows, n: 1, k: states.cols };
    if (softCap === undefined) product(tape.gpu, 'nt', states, vocabularyMean.of(tape), logitMeans, size);
    const options = { filterEps, softCap, cappedMeans: softCap === undefined ? undefined : logitMeans };
    const { logprobs: values, stats } = headLogprobs(tape, states, model.head, batch.targets, options);
    return { values, stats, logitMeans };
  }

  dispose(): void {
    this.vocabularyMean.dispose();
  }
}

class ScalarScorer implements Scorer {
  constructor(
    private readonly model: CausalLM,
    private readonly head: Tensor,
    readonly rows: ScoredRows,
  ) {}

  score(tape: Tape, batch: DeviceBatch, { kept }: BackwardSettings): Scores {
    return { values: scalarRows(tape, this.model, batch, this.head, kept) };
  }

  /** The head belongs to the parameter store. */
  dispose(): void {}
}

/**
 * The mean row of the head, (1, d): its product with a hidden state is the mean of that state's logits, so no logits are needed.
 * Computed once if the head is frozen.
 */
class VocabularyMean {
  private readonly ones: Tensor;
  private readonly mean: Tensor;
  private fresh = false;

  constructor(private readonly model: CausalLM) {
    const { gpu, head } = model;
    const ones = new Float32Array(padded(head.rows)).fill(1, 0, head.rows);
    this.ones = Tensor.from(gpu, ones, [1, ones.length], 'ones', 'head');
    this.mean = new Tensor(
      gpu.pool.allocate(head.cols * 4, 'vocabulary mean', { kind: 'head' }),
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
