/**
 * Samples the next token of each live sequence from its logits, on the device, so that no step waits for the host. The
 * token depends on the sequence's logits, the seed, its index and its length, not on the rest of the batch. Records nothing:
 * there is no gradient through a choice.
 */
import shader from '../../shaders/decode/sample.wgsl';
import type { Gpu } from '../gpu/device.ts';
import { type Grid, kernels } from '../gpu/kernel.ts';
import { threadsOfRow } from '../gpu/loops.ts';
import type { BufferView } from '../gpu/pool.ts';
import type { Tensor } from '../tensor/tensor.ts';

const perRow: Grid = { groups: (p) => p.rows };

export const sampleKernels = kernels(shader, {
  sample: perRow,
  sample_logprob: perRow,
  sample_logprobs: perRow,
});

/** Value in `tokens` for a row whose logits are NaN. */
export const INVALID_TOKEN = 0xffffffff;

/** How a token is sampled, with transformers' names and meanings. */
export interface SamplingSettings {
  /** 0 takes the most likely token. */
  temperature: number;
  /** 0 disables it. */
  topK: number;
  /** 1 disables it. */
  topP: number;
  /** 0 disables it. */
  minP: number;
  /** An integer below 2³². */
  seed: number;
}

/** Where a row keeps its sequence, for `lib/place.wgsl`. */
export interface Place {
  /** The first of the prompt's cache rows, and the row after the last. */
  prompt: number;
  promptEnd: number;
  /** The same for its own tokens: one row for each but the last, which is never an input, and at least one. */
  own: number;
  ownEnd: number;
  /** The step that chooses its first token. */
  start: number;
  /** The column of its tokens. */
  slot: number;
  /** Its index among all sequences, for the random numbers. */
  sequence: number;
  /** The prompt's last token: the input of its first step. */
  first: number;
}

/** Places as the kernels read them, (B, 8). */
export function packPlaces(places: readonly Place[]): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(
    places.flatMap(({ prompt, promptEnd, own, ownEnd, start, slot, sequence, first }) => [
      ...[prompt, promptEnd, own, ownEnd],
      ...[start, slot, sequence, first],
    ]),
  );
}

/** Numbers in a place. */
export const PLACE_COLUMNS = 8;

/** The parameters of a kernel that reads or writes chosen tokens. */
export function ringOf(tokens: Tensor): { ring: number; slots: number } {
  return { ring: tokens.rows, slots: tokens.cols };
}

/** Upper bound of iterations per token of the vocabulary: 5 passes, 28 passes of four tokens per iteration, and overhead. */
const PER_TOKEN = 13;

/** The unfinished sequences. */
export interface LiveSequences {
  /** (B, 8) u32: see {@link Place}. */
  places: Tensor;
  /** (T, S) u32: token by step modulo T, and slot. T is at least the longest sequence. */
  tokens: Tensor;
  /** u32: the ids that end a sequence; {@link INVALID_TOKEN} if there are none. */
  eos: BufferView;
  /** Where to store the log-probabilities of the tokens, if requested. */
  logprobs?: TokenLogprobTensors | undefined;
}

/** (T, S) f32 each: log-probabilities of the tokens of {@link LiveSequences}. */
export interface TokenLogprobTensors {
  /** Under the sampling distribution; written by {@link sample}. */
  sampling: Tensor;
  /**
   * Under the model at temperature 1; {@link sample} writes them if the logits are the model's own, otherwise {@link
   * chosenLogprobs}.
   */
  model: Tensor;
}

/** The part of a generation step to process. */
export interface StepOfRows {
  step: number;
  /** The first live row of the logits. */
  firstRow?: number;
  /** Number of tokens in a row of logits; padding after them is not read. */
  vocabulary?: number;
}

/**
 * logits (R, V) of the live rows from `firstRow` → tokens of `step`, and their log-probabilities if requested; those under
 * the model only if the logits are its own rather than penalized ones.
 */
export function sample(
  gpu: Gpu,
  logits: Tensor,
  { places, tokens, eos, logprobs }: LiveSequences,
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
    ...ringOf(tokens),
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
