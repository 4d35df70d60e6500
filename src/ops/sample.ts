/**
 * The next token of each live sequence from its logits, on the device, so that no step waits for the host. Which token a
 * sequence gets is a matter of its logits, the seed, its number and the step, never of who shares its batch. Records
 * nothing: there is no gradient through a choice.
 */
import shader from '../../shaders/decode/sample.wgsl';
import type { Gpu } from '../gpu/device.ts';
import { type Grid, kernels } from '../gpu/kernel.ts';
import { threadsOfRow } from '../gpu/loops.ts';
import type { BufferView } from '../gpu/pool.ts';
import type { Tensor } from '../tensor/tensor.ts';

const perRow: Grid = { groups: (p) => p.rows as number };

export const sampleKernels = kernels(shader, {
  sample: perRow,
  sample_logprob: perRow,
  sample_logprobs: perRow,
});

/** What stands in `tokens` for a row whose logits are not numbers. */
export const INVALID_TOKEN = 0xffffffff;

/** How a token is drawn. transformers' names and meanings. */
export interface SamplingSettings {
  /** 0 takes the likeliest token. */
  temperature: number;
  /** 0: off. */
  topK: number;
  /** 1: off. */
  topP: number;
  /** 0: off. */
  minP: number;
  /** A whole number below 2³². */
  seed: number;
}

/** Upper bound of iterations per token of the vocabulary: 5 passes, 28 passes of four tokens per iteration, and overhead. */
const PER_TOKEN = 13;

/** The sequences that are being written. */
export interface LiveSequences {
  /** (B, 4) u32: the cache rows [0, 1) of the prompt, the first of its own, and its number below S. */
  places: Tensor;
  /** (T, S) u32: token of step and sequence. */
  tokens: Tensor;
  /** u32: the ids that end a sequence; {@link INVALID_TOKEN} where none does. */
  eos: BufferView;
  /** What the sequence numbers are counted from, for the random numbers. */
  firstSequence: number;
  /** Where the log-probabilities of the tokens go, if they are wanted. */
  logprobs?: TokenLogprobTensors | undefined;
}

/** (T, S) f32 each: log-probabilities of the tokens of {@link LiveSequences}. */
export interface TokenLogprobTensors {
  /** Under the distribution that they were drawn from; {@link sample} writes them. */
  sampling: Tensor;
  /** Under the model at temperature 1; {@link sample} writes them where the logits are the model's own, else {@link chosenLogprobs}. */
  model: Tensor;
}

/** What a step of generation is about. */
export interface StepOfRows {
  step: number;
  /** The first live row that the logits are of. */
  firstRow?: number;
  /** Tokens of a row of logits; what a row has behind them is not read. */
  vocabulary?: number;
}

/**
 * logits (R, V) of the live rows from `firstRow` on → tokens of `step`, and their log-probabilities if they are wanted: under the model
 * too, where these are its own logits and not penalized ones.
 */
export function sample(
  gpu: Gpu,
  logits: Tensor,
  { places, tokens, eos, firstSequence, logprobs }: LiveSequences,
  { temperature, topK, topP, minP, seed }: SamplingSettings,
  { step, firstRow = 0, vocabulary = logits.cols }: StepOfRows,
  areModels = false,
): void {
  const buffers = { logits, places, eos, tokens };
  const params = {
    rows: logits.rows,
    first_row: firstRow,
    vocabulary,
    stride: logits.cols,
    step,
    sequences: tokens.cols,
    first_sequence: firstSequence,
    seed,
    temperature,
    top_k: topK < vocabulary ? topK : 0,
    top_p: topP,
    min_p: minP,
  };
  const constants = { WORKGROUP: threadsOfRow(gpu, vocabulary, PER_TOKEN) };
  if (!logprobs) {
    sampleKernels.sample(gpu, buffers, params, constants);
    return;
  }
  const { sampling, model } = logprobs;
  const withSampling = { ...buffers, logprobs: sampling };
  if (!areModels) sampleKernels.sample_logprob(gpu, withSampling, params, constants);
  else sampleKernels.sample_logprobs(gpu, { ...withSampling, model_logprobs: model }, params, constants);
}
