/**
 * Log-probabilities of given texts, token by token, without training on them: for evaluation, for rewards, for the KL of
 * two policies. As in training no buffer of tokens × vocabulary is made, neighbors with the same prompt share it, and what a
 * sequence gets does not depend on its batch.
 */
import { packExamples, type TokenizedExample, type TokenizedSequence } from '../data/packing.ts';
import { requireTokenIds } from '../data/tokenizer.ts';
import { InputError } from '../io/errors.ts';
import { DeviceBatch } from '../model/batch.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import { Tape } from '../tensor/tape.ts';
import { rowLogprobs } from './scorer.ts';

export interface ScoreOptions {
  /** Most tokens at a time, default 2048; a longer sequence has a batch of its own. */
  batchTokens?: number;
  /** Divides the logits: log-probabilities are those of the policy that samples at this temperature. Default 1. */
  temperature?: number;
  /** Stops with the signal's reason. */
  signal?: AbortSignal;
  /** Hears how many sequences have been scored. */
  onProgress?: (done: number, total: number) => void;
}

/**
 * For every sequence log π(token | all before it) of its completion's tokens, under the model with the adapters that are
 * switched on. {@link InputError} for a token the model does not have, more tokens than it has positions, and a model whose
 * numbers are none.
 */
export async function sequenceLogprobs(
  model: CausalLM,
  sequences: readonly TokenizedSequence[],
  { batchTokens = 2048, temperature = 1, signal, onProgress }: ScoreOptions = {},
): Promise<Float32Array[]> {
  for (const [i, sequence] of sequences.entries()) check(model, sequence, `sequence ${i + 1}`);
  if (!(temperature > 0 && Number.isFinite(temperature)))
    throw new InputError('temperature', `is ${temperature}`, 'Give a number above 0');
  const results: Float32Array[] = [];
  for (const batch of cut(sequences, batchTokens)) {
    signal?.throwIfAborted();
    for (const values of await score(model, batch, temperature))
      results.push(checkedNumbers(values, results.length));
    onProgress?.(results.length, sequences.length);
  }
  return results;
}

async function score(
  model: CausalLM,
  examples: readonly TokenizedExample[],
  temperature: number,
): Promise<Float32Array[]> {
  const { gpu } = model;
  const packed = packExamples(examples);
  const [, ...ends] = packed.sequenceOffsets;
  if (packed.rows.length === 0) return ends.map(() => new Float32Array(0));
  const batch = new DeviceBatch(gpu, packed);
  const tape = Tape.forInference(gpu);
  const pending = gpu.read(rowLogprobs(tape, model, batch, temperature));
  tape.dispose();
  batch.dispose();
  const values = new Float32Array(await pending);
  return ends.map((end, s) => values.slice(packed.sequenceOffsets[s], end));
}

/** Broken weights show in what they make of a text. */
function checkedNumbers(values: Float32Array, index: number): Float32Array {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return values;
  throw new InputError(
    `sequence ${index + 1}, completion token ${at + 1}`,
    `the model's log-probability is ${values[at]}`,
    'Look for NaN in the weights and in the adapters, or lower the learning rate that trained them',
  );
}

/** Runs of sequences of at most `batchTokens` tokens, neighbors with the same prompt as one example. */
function cut(sequences: readonly TokenizedSequence[], batchTokens: number): TokenizedExample[][] {
  const batches: TokenizedExample[][] = [];
  let tokens = Number.POSITIVE_INFINITY;
  for (const { prompt, completion } of sequences) {
    const group = batches.at(-1)?.at(-1);
    if (group && tokens + completion.length <= batchTokens && isSame(group.prompt, prompt)) {
      group.completions.push(completion);
      tokens += completion.length;
      continue;
    }
    const length = prompt.length + completion.length;
    if (tokens + length > batchTokens) {
      batches.push([]);
      tokens = 0;
    }
    batches.at(-1)?.push({ prompt, completions: [completion] });
    tokens += length;
  }
  return batches;
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a === b || (a.length === b.length && a.every((id, i) => id === b[i]));
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
