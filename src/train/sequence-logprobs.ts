/**
 * Log-probabilities of given texts, token by token, without training on them: for evaluation, for rewards, for the KL of
 * two policies. As in training no buffer of tokens × vocabulary is made, and what a sequence gets does not depend on its
 * batch.
 */
import { packSequences, type TokenizedSequence } from '../data/packing.ts';
import { requireTokenIds } from '../data/tokenizer.ts';
import { InputError } from '../io/errors.ts';
import { DeviceBatch } from '../model/batch.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import { Tape } from '../tensor/tape.ts';
import { rowLogprobs } from './forward.ts';

export interface ScoreOptions {
  /** Most tokens at a time, default 2048; a longer sequence has a batch of its own. */
  batchTokens?: number;
  /** Stops with the signal's reason. */
  signal?: AbortSignal;
  /** Hears how many sequences have been scored. */
  onProgress?: (done: number, total: number) => void;
}

/**
 * For every sequence log π(token | all before it) of its completion's tokens, under the model with the adapters that are
 * switched on. {@link InputError} for a token the model does not have, or more tokens than it has positions.
 */
export async function sequenceLogprobs(
  model: CausalLM,
  sequences: readonly TokenizedSequence[],
  { batchTokens = 2048, signal, onProgress }: ScoreOptions = {},
): Promise<Float32Array[]> {
  for (const [i, sequence] of sequences.entries()) check(model, sequence, `sequence ${i + 1}`);
  const results: Float32Array[] = [];
  for (const batch of cut(sequences, batchTokens)) {
    signal?.throwIfAborted();
    results.push(...(await score(model, batch)));
    onProgress?.(results.length, sequences.length);
  }
  return results;
}

async function score(model: CausalLM, sequences: readonly TokenizedSequence[]): Promise<Float32Array[]> {
  const { gpu } = model;
  const packed = packSequences(sequences);
  if (packed.rows.length === 0) return sequences.map(() => new Float32Array(0));
  const batch = new DeviceBatch(gpu, packed);
  const tape = Tape.forInference(gpu);
  const pending = gpu.read(rowLogprobs(tape, model, batch));
  tape.dispose();
  batch.dispose();
  const values = new Float32Array(await pending);
  const [, ...ends] = packed.sequenceOffsets;
  return ends.map((end, s) => values.slice(packed.sequenceOffsets[s], end));
}

/** Runs of sequences of at most `batchTokens` tokens. */
function cut(sequences: readonly TokenizedSequence[], batchTokens: number): TokenizedSequence[][] {
  const batches: TokenizedSequence[][] = [];
  let tokens = Number.POSITIVE_INFINITY;
  for (const sequence of sequences) {
    const length = sequence.prompt.length + sequence.completion.length;
    if (tokens + length > batchTokens) {
      batches.push([]);
      tokens = 0;
    }
    (batches.at(-1) as TokenizedSequence[]).push(sequence);
    tokens += length;
  }
  return batches;
}

function check({ config, name }: CausalLM, { prompt, completion }: TokenizedSequence, where: string): void {
  if (prompt.length === 0)
    throw new InputError(where, 'has no token to predict from', 'Begin it with a token');
  requireTokenIds(prompt, config.vocabSize, where);
  requireTokenIds(completion, config.vocabSize, where);
  const inputs = prompt.length + Math.max(0, completion.length - 1);
  if (inputs > config.maxPositionEmbeddings) {
    const what = `has ${inputs} tokens to read, ${name} has positions for ${config.maxPositionEmbeddings}`;
    throw new InputError(where, what, 'Shorten it');
  }
}
