/**
 * Log-probabilities of given texts, token by token, without training: for evaluation, for rewards, for the KL of
 * two policies. As in training, no buffer of tokens × vocabulary is made, neighbors with the same prompt share it, and the
 * result for a sequence does not depend on its batch.
 */
import {
  type PackedBatch,
  packExamples,
  type TokenizedExample,
  type TokenizedSequence,
} from '../../data/packing.ts';
import type { TokenIds } from '../../data/token-ids.ts';
import { commonPrefix } from '../../data/tokenize-completions.ts';
import { requireTokenIds } from '../../data/tokenizer.ts';
import type { Gpu } from '../../gpu/device.ts';
import { InputError } from '../../io/errors.ts';
import { DeviceBatch } from '../../model/batch.ts';
import type { CausalLM } from '../../model/causal-lm.ts';
import { STATS_WIDTH, type TokenLogprobs } from '../../ops/token-logprob.ts';
import { Tape } from '../../tensor/tape.ts';
import { rowScores } from '../scorer.ts';
import { sizeOf } from '../source.ts';

/** Default maximum of tokens per batch. */
export const BATCH_TOKENS = 2048;

export interface ScoreOptions {
  /** Maximum tokens per batch, default 2048; a longer sequence gets its own batch. */
  batchTokens?: number;
  /** Divides the logits: log-probabilities belong to the policy that samples at this temperature. Default 1. */
  temperature?: number;
  /** Stops with the signal's reason. */
  signal?: AbortSignal;
  /** Receives the number of scored sequences. */
  onProgress?: (done: number, total: number) => void;
}

/**
 * For every sequence log π(token | context) of its completion's tokens, under the model with the adapters that are
 * switched on. Throws {@link InputError} for a token that the model does not have, for more tokens than its positions, and for a model with
 * non-finite results.
 */
export async function sequenceLogprobs(
  model: CausalLM,
  sequences: readonly TokenizedSequence[],
  options: ScoreOptions = {},
): Promise<Float32Array[]> {
  const scores = await scored(model, sequences, options, false);
  return scores.map(({ logprobs }) => logprobs);
}

/** For a completion's tokens. */
export interface SequenceScores {
  logprobs: Float32Array;
  /** Entropy of each token's distribution, in nats. */
  entropies: Float32Array;
}

/** The same with entropies. */
export function sequenceScores(
  model: CausalLM,
  sequences: readonly TokenizedSequence[],
  options: ScoreOptions = {},
): Promise<SequenceScores[]> {
  return scored(model, sequences, options, true);
}

async function scored(
  model: CausalLM,
  sequences: readonly TokenizedSequence[],
  { batchTokens = BATCH_TOKENS, temperature = 1, signal, onProgress }: ScoreOptions,
  withEntropies: boolean,
): Promise<SequenceScores[]> {
  for (const [i, sequence] of sequences.entries()) check(model, sequence, `sequence ${i + 1}`);
  if (!(temperature > 0 && Number.isFinite(temperature)))
    throw new InputError('temperature', `is ${temperature}`, 'Give a number above 0');
  const results: SequenceScores[] = [];
  for (const batch of inBatches(sequences, batchTokens)) {
    signal?.throwIfAborted();
    for (const scores of await score(model, batch, temperature, withEntropies)) {
      requireNumbers(scores.logprobs, results.length);
      results.push(scores);
    }
    onProgress?.(results.length, sequences.length);
  }
  return results;
}

async function score(
  model: CausalLM,
  examples: readonly TokenizedExample[],
  temperature: number,
  withEntropies: boolean,
): Promise<SequenceScores[]> {
  const { gpu } = model;
  const packed = packExamples(examples);
  const [, ...ends] = packed.sequenceOffsets;
  const nothing = new Float32Array(0);
  if (packed.rows.length === 0) return ends.map(() => ({ logprobs: nothing, entropies: nothing }));
  const [values, table] = await withScores(gpu, model, packed, temperature, ({ logprobs, stats }) =>
    Promise.all([gpu.read(logprobs), withEntropies ? gpu.read(stats) : undefined]),
  );
  const rows = new Float32Array(values);
  const entropies = table && new Float32Array(table).filter((_, i) => i % STATS_WIDTH === 0);
  return ends.map((end, s) => {
    const start = packed.sequenceOffsets[s];
    return { logprobs: rows.slice(start, end), entropies: entropies?.slice(start, end) ?? nothing };
  });
}

/** Records a batch; `use` gets its rows before they are released. */
function withScores<T>(
  gpu: Gpu,
  model: CausalLM,
  packed: PackedBatch,
  temperature: number,
  use: (scores: TokenLogprobs) => T,
): T {
  const batch = new DeviceBatch(gpu, packed);
  const tape = Tape.forInference(gpu);
  const result = use(rowScores(tape, model, batch, temperature));
  tape.dispose();
  batch.dispose();
  return result;
}

/** Rehearses the largest batch of {@link sequenceLogprobs} on a counting device. */
export function rehearseScores(
  gpu: Gpu,
  model: CausalLM,
  sequences: readonly TokenizedSequence[],
  { batchTokens = BATCH_TOKENS, temperature = 1 }: ScoreOptions = {},
): void {
  const packed = packExamples(largestOf(inBatches(sequences, batchTokens)));
  if (packed.rows.length > 0) withScores(gpu, model, packed, temperature, () => {});
}

/** The batch with the most tokens. */
export function largestOf(batches: readonly TokenizedExample[][]): TokenizedExample[] {
  const tokens = (batch: readonly TokenizedExample[]) => batch.reduce((sum, each) => sum + sizeOf(each), 0);
  return batches.reduce((most, batch) => (tokens(batch) > tokens(most) ? batch : most), []);
}

/** Broken weights show up in log-probabilities. */
function requireNumbers(values: Float32Array, index: number): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  throw new InputError(
    `sequence ${index + 1}, completion token ${at + 1}`,
    `the model's log-probability is ${values[at]}`,
    'Look for NaN in the weights and in the adapters, or lower the learning rate that trained them',
  );
}

/** Groups of sequences with at most `batchTokens` tokens; neighbors with the same prompt form one example. */
export function inBatches(
  sequences: readonly TokenizedSequence[],
  batchTokens: number,
): TokenizedExample[][] {
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

function isSame(a: TokenIds, b: TokenIds): boolean {
  return a === b || (a.length === b.length && commonPrefix(a, b) === a.length);
}

function check({ config, name }: CausalLM, { prompt, completion }: TokenizedSequence, where: string): void {
  if (prompt.length === 0) throw new InputError(where, 'has no token to start from', 'Begin it with a token');
  requireTokenIds(prompt, config.vocabSize, where);
  requireTokenIds(completion, config.vocabSize, where);
  const length = prompt.length + completion.length;
  if (length > config.maxPositionEmbeddings) {
    const what = `has ${length} tokens, but ${name} supports at most ${config.maxPositionEmbeddings}`;
    throw new InputError(where, what, 'Shorten it');
  }
}
