/**
 * The policy's way through a batch: hidden states, those of them that are scored, and their log-probabilities. Used with a
 * tape to train, without one to score.
 */
import type { DeviceBatch } from '../model/batch.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import type { Kept } from '../model/decoder.ts';
import { gather } from '../ops/gather.ts';
import { headLogprobs } from '../ops/token-logprob.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';

/**
 * The hidden states that are scored, (R, d), divided by the temperature: logits are linear in them, so this divides the
 * logits ahead of their log-sum-exp, and gradients with them.
 */
export function scoredStates(
  tape: Tape,
  model: CausalLM,
  batch: DeviceBatch,
  { kept, temperature = 1 }: { kept?: Kept; temperature?: number | undefined } = {},
): Tensor {
  return gather(tape, model.hidden(tape, batch, kept), batch.lossRows, 1 / temperature);
}

/**
 * log π(target | what comes before) of every scored row of the batch, (R), of the policy that samples at this temperature.
 */
export function rowLogprobs(tape: Tape, model: CausalLM, batch: DeviceBatch, temperature = 1): Tensor {
  const states = scoredStates(tape, model, batch, { temperature });
  return headLogprobs(tape, states, model.head, batch.targets).logprobs;
}

/** What a backward pass will find. */
export interface BackwardSettings {
  /** What is kept of activations. */
  kept: Kept;
  /** Tokens less probable than this get no gradient from the head; 0 leaves out none. */
  filterEps: number;
}
