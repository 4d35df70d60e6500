/**
 * The next token of each live sequence from its logits, on the device, so that no step waits for the host. Which token a
 * sequence gets is a matter of its logits, the seed, its number and the step, never of who shares its batch. Records
 * nothing: there is no gradient through a choice.
 */
import shader from '../../shaders/decode/sample.wgsl';
import type { Gpu } from '../gpu/device.ts';
import { kernels } from '../gpu/kernel.ts';
import { threadsOfRow } from '../gpu/loops.ts';
import type { BufferView } from '../gpu/pool.ts';
import type { Tensor } from '../tensor/tensor.ts';

export const sampleKernels = kernels(shader, { sample: { groups: (p) => p.rows as number } });

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
  /** A whole number below 2³². */
  seed: number;
}

/** Iterations for each token of the vocabulary at most: five walks over it, 28 of a quarter each for two edges, and a little. */
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
}

/**
 * logits (R, V) of the live rows from `firstRow` on → tokens of `step`. Rows may be longer than the `vocabulary`: what is behind
 * it is not looked at.
 */
export function sample(
  gpu: Gpu,
  logits: Tensor,
  { places, tokens, eos, firstSequence }: LiveSequences,
  { temperature, topK, topP, seed }: SamplingSettings,
  { step, firstRow = 0, vocabulary = logits.cols }: { step: number; firstRow?: number; vocabulary?: number },
): void {
  sampleKernels.sample(
    gpu,
    { logits, places, eos, tokens },
    {
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
    },
    { WORKGROUP: threadsOfRow(gpu, vocabulary, PER_TOKEN) },
  );
}
