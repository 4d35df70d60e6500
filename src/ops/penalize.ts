/**
 * Applies the repetition penalty to the logits of live sequences, in place. Integer atomics decide which thread changes a
 * logit; all would change it equally, so the result is deterministic. Records nothing.
 */
import shader from '../../shaders/decode/penalize.wgsl';
import { kernels } from '../gpu/kernel.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type LiveSequences, ringOf, type StepOfRows } from './sample.ts';

export const penalizeKernels = kernels(shader, { forward: { threads: (p) => p.rows * p.span } });

export interface Repetition {
  /** Above 1 makes tokens that already occur less likely, below 1 more likely. */
  penalty: number;
  /** u32: ids of the prompts, by cache row. */
  prompts: Tensor;
  /** Number of tokens in the longest prompt. */
  longestPrompt: number;
}

/** logits (R, V) of the live rows from `firstRow`, before the token of `step` is chosen. */
export function penalize(
  tape: Tape,
  logits: Tensor,
  { places, tokens }: LiveSequences,
  { penalty, prompts, longestPrompt }: Repetition,
  { step, firstRow = 0, vocabulary = logits.cols }: StepOfRows,
): void {
  const { gpu } = tape;
  const words = Math.ceil(vocabulary / 32);
  const seen = tape.empty([logits.rows, words], 'seen tokens', 'u32');
  gpu.recorder.clear(seen);
  const params = {
    rows: logits.rows,
    first_row: firstRow,
    vocabulary,
    stride: logits.cols,
    step,
    ...ringOf(tokens),
    span: longestPrompt + Math.min(step, tokens.rows),
    words,
    penalty,
  };
  penalizeKernels.forward(gpu, { places, prompts, tokens, seen, logits }, params);
  tape.release(seen);
}
