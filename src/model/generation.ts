/**
 * Batched text generation with transformers' names: tracks each sequence, and decides when to read tokens. Works with token
 * ids; the caller converts text. A sequence depends on its prompt, the seed and its index; the other sequences of its batch
 * only affect the rounding of sums.
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
  /** New tokens without the end token: the input for decoding its text. */
  ids: number[];
  finished: 'eos' | 'length';
  /** The end token that was sampled; undefined if the length ended the sequence. */
  endId?: number;
  /** Present with `returnLogprobs`. */
  logprobs?: SampledLogprobs;
}

/** Log-probabilities in nats of a sequence's sampled tokens, including the end token. */
export interface SampledLogprobs {
  /**
   * Under the distribution that each was sampled from: after penalty, temperature, top-k, top-p and min-p. 0 for greedy
   * decoding.
   */
  sampling: number[];
  /** Under the model: the log-softmax of its logits, at temperature 1. */
  model: number[];
}

/** New tokens of one sequence since the last update. The sequences of prompt p have indices from p · numReturnSequences. */
export interface GenerationUpdate {
  sequence: number;
  /** New tokens without the end token. */
  ids: number[];
  /** Present once, with the last tokens. */
  finished?: 'eos' | 'length';
  /** The end token, with `finished: 'eos'`. */
  endId?: number;
  /** Present with `returnLogprobs`. */
  logprobs?: SampledLogprobs;
}

export interface StreamOptions extends GenerationOptions {
  /** Steps between two reads of the tokens; default: 4. */
  every?: number | undefined;
}

/** A sequence's sampled tokens, including the end token: those that have a log-probability. */
export function sampledTokens({ ids, endId }: Pick<Generation, 'ids' | 'endId'>): number[] {
  return endId === undefined ? [...ids] : [...ids, endId];
}

/** Appends an update to the generation of its sequence. */
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

/** Empty generations, for {@link addUpdate}. */
export function emptyGenerations(count: number): Generation[] {
  return Array.from({ length: count }, () => ({ ids: [], finished: 'length' }));
}

/**
 * Continues every prompt, numReturnSequences times; prompt p's results begin at p · numReturnSequences. Throws {@link
 * InputError} for a prompt that is empty or too long, an unknown token, or an invalid option; `MemoryCapError` if there is
 * not enough memory for the batch of {@link planGeneration}.
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

/** Streams the generation: `for await (const updates of streamGeneration(…))`, every few tokens. */
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
  // One read of the tokens is always in flight while the device generates the next ones.
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
        // Fewer rows make a step faster, but changed sizes require new buffers.
        if (open.length <= (decoding.rows * 7) / 8) decoding.keep(open);
      }
      decoding.advance();
    }
  } finally {
    decoding.dispose();
  }
}

/** Interprets the tokens chosen from step `from` for the unfinished sequences. */
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
