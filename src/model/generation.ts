/**
 * Text generation, batched, with transformers' names: what becomes of each sequence, and when to look at what has been
 * written. Token ids in and out; text is the caller's business. What a sequence becomes is a matter of its prompt, the seed
 * and its number; who shares its batch touches no more than the rounding of sums.
 */
import { InputError } from '../io/errors.ts';
import { INVALID_TOKEN } from '../ops/sample.ts';
import type { CausalLM } from './causal-lm.ts';
import { type ChosenTokens, Decoding, type DecodingBatch, type DecodingSettings } from './decoding.ts';
import type { DecodingPass } from './decoding-pass.ts';
import { decodingPass } from './decoding-passes.ts';
import {
  checkCount,
  checkLengths,
  checkOptions,
  checkTokens,
  type GenerationOptions,
} from './generation-options.ts';
import { batchOf, planGeneration, prepareBatch } from './generation-plan.ts';

export interface Generation {
  /** New tokens, without the one that ends the sequence: what its text is decoded from. */
  ids: number[];
  finished: 'eos' | 'length';
  /** The end token that was drawn; undefined if the length ended the sequence. */
  endId?: number;
  /** With `returnLogprobs`. */
  logprobs?: SampledLogprobs;
}

/** Log-probabilities in nats of a sequence's sampled tokens, the end token included. */
export interface SampledLogprobs {
  /** Under the distribution that each was drawn from: after penalty, temperature, top-k, top-p and min-p. 0 where the likeliest was taken. */
  sampling: number[];
  /** Under the model: the log-softmax of its logits, at temperature 1. */
  model: number[];
}

/** News of one sequence, what came since the last update. Prompt p's sequences are numbered from p · numReturnSequences. */
export interface GenerationUpdate {
  sequence: number;
  /** New tokens, without the one that ends the sequence. */
  ids: number[];
  /** Once, with the last tokens. */
  finished?: 'eos' | 'length';
  /** The end token, with `finished: 'eos'`. */
  endId?: number;
  /** With `returnLogprobs`. */
  logprobs?: SampledLogprobs;
}

export interface StreamOptions extends GenerationOptions {
  /** Steps between two looks at what has been written, default 4. */
  every?: number | undefined;
}

/** A sequence's sampled tokens, the one that ended it included: what a log-probability is of. */
export function sampledTokens({ ids, endId }: Pick<Generation, 'ids' | 'endId'>): number[] {
  return endId === undefined ? [...ids] : [...ids, endId];
}

/** Adds an update to what has been written so far of its sequence. */
export function addUpdate(
  generation: Generation,
  { ids, finished, endId, logprobs }: GenerationUpdate,
): void {
  generation.ids.push(...ids);
  if (finished) generation.finished = finished;
  if (endId !== undefined) generation.endId = endId;
  if (!logprobs) return;
  generation.logprobs ??= { sampling: [], model: [] };
  generation.logprobs.sampling.push(...logprobs.sampling);
  generation.logprobs.model.push(...logprobs.model);
}

/** Sequences of which nothing has been written yet, for {@link addUpdate}. */
export function emptyGenerations(count: number): Generation[] {
  return Array.from({ length: count }, () => ({ ids: [], finished: 'length' }));
}

/**
 * Continues every prompt, numReturnSequences times; prompt p's results begin at p · numReturnSequences.
 * {@link InputError} for a prompt that is empty or too long, a token that the model does not have, or a wrong option;
 * `MemoryCapError` where there is no room for the batch that {@link planGeneration} says.
 */
export async function generate(
  model: CausalLM,
  prompts: readonly (readonly number[])[],
  options: GenerationOptions,
): Promise<Generation[]> {
  const { copies } = checkOptions(model, options);
  const results = emptyGenerations(prompts.length * copies);
  for await (const updates of streamGeneration(model, prompts, options)) {
    for (const update of updates) addUpdate(results[update.sequence] as Generation, update);
  }
  return results;
}

/** The same as it is written: `for await (const updates of streamGeneration(…))`, every few tokens. */
export async function* streamGeneration(
  model: CausalLM,
  prompts: readonly (readonly number[])[],
  options: StreamOptions,
): AsyncGenerator<GenerationUpdate[], void> {
  const { settings, copies } = checkOptions(model, options);
  const { signal, every = 4 } = options;
  checkCount('every', every);
  const lengths = prompts.map(({ length }) => length);
  checkLengths(model, lengths, settings.maxNewTokens);
  checkTokens(model, prompts);
  const { batchSize } = planGeneration(model, lengths, options);
  let pass: DecodingPass | undefined;
  try {
    for (let first = 0; first < prompts.length * copies; first += batchSize) {
      signal?.throwIfAborted();
      const batch = batchOf(prompts, copies, first, batchSize);
      await prepareBatch(model, batch, settings, pass);
      pass ??= decodingPass(model);
      yield* writeBatch(model, batch, settings, pass, every, signal);
    }
  } finally {
    pass?.dispose();
  }
}

async function* writeBatch(
  model: CausalLM,
  batch: DecodingBatch,
  settings: DecodingSettings,
  pass: DecodingPass,
  every: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<GenerationUpdate[], void> {
  const { maxNewTokens } = settings;
  const decoding = new Decoding(model, batch, settings, pass);
  let open = batch.sequences.map((_, i) => i);
  // One look at the tokens is always under way while the device writes the next ones.
  let reading: { from: number; chosen: Promise<ChosenTokens> } | undefined;
  try {
    decoding.prefill();
    let read = 0;
    for (;;) {
      await model.gpu.settle(model.gpu.recorder.throttle());
      signal?.throwIfAborted();
      const isLast = decoding.step === maxNewTokens;
      if (isLast || decoding.step - read >= every) {
        const next = { from: read, chosen: decoding.read(read) };
        next.chosen.catch(() => {}); // awaited later
        read = decoding.step;
        model.gpu.recorder.flush();
        const arrived = isLast ? [reading, next] : [reading];
        reading = next;
        for (const look of arrived) {
          if (!look) continue;
          const updates = follow(open, await look.chosen, look.from, batch, settings);
          const ended = new Set(updates.filter(({ finished }) => finished).map(({ sequence }) => sequence));
          open = open.filter((i) => !ended.has(batch.firstSequence + i));
          signal?.throwIfAborted();
          if (updates.length > 0) yield updates;
        }
        if (isLast || open.length === 0) return;
        // Fewer rows make a faster step, but other sizes make new buffers.
        if (open.length <= (decoding.rows * 7) / 8) decoding.keep(open);
      }
      decoding.advance();
    }
  } finally {
    decoding.dispose();
  }
}

/** What the tokens of the steps from `from` on mean for the open sequences. */
function follow(
  open: readonly number[],
  { tokens, logprobs }: ChosenTokens,
  from: number,
  { sequences, firstSequence }: DecodingBatch,
  { eosTokenIds, maxNewTokens }: DecodingSettings,
): GenerationUpdate[] {
  const steps = tokens.length / sequences.length;
  return open.map((i) => {
    const update: GenerationUpdate = { sequence: firstSequence + i, ids: [] };
    if (logprobs) update.logprobs = { sampling: [], model: [] };
    for (let step = 0; step < steps && !update.finished; step++) {
      const at = step * sequences.length + i;
      const token = tokens[at] as number;
      if (token === INVALID_TOKEN) {
        throw new InputError(
          `sequence ${update.sequence + 1}, new token ${from + step + 1}`,
          "the model's logits are not numbers",
          'Look for NaN in the weights and in the adapters, or lower the learning rate that trained them',
        );
      }
      if (eosTokenIds.includes(token)) {
        update.finished = 'eos';
        update.endId = token;
      } else update.ids.push(token);
      update.logprobs?.sampling.push(logprobs?.sampling[at] as number);
      update.logprobs?.model.push(logprobs?.model[at] as number);
    }
    if (from + steps === maxNewTokens) update.finished ??= 'length';
    return update;
  });
}
