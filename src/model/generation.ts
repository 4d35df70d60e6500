/**
 * Batched text generation with transformers' names: decides when to compute prompts, when to read tokens, and when to drop
 * rows. Works with token ids; the caller converts text. A sequence depends on its prompt, the seed and its index; the other
 * sequences only affect the rounding of sums.
 */
import type { CausalLM } from './causal-lm.ts';
import { type ChosenTokens, Decoding } from './decoding.ts';
import { decodingPass } from './decoding-passes.ts';
import {
  checkCount,
  checkLengths,
  checkOptions,
  checkTokens,
  type GenerationOptions,
} from './generation-options.ts';
import { prepareDecoding } from './generation-plan.ts';
import { KvCache } from './kv-cache.ts';
import { PromptRows } from './prompt-rows.ts';
import { type GenerationUpdate, RowSchedule, type SampledLogprobs, type Seat } from './row-schedule.ts';

export type { GenerationUpdate, SampledLogprobs } from './row-schedule.ts';

export interface Generation {
  /** New tokens without the end token: the input for decoding its text. */
  ids: number[];
  finished: 'eos' | 'length';
  /** The end token that was sampled; undefined if the length ended the sequence. */
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
    for (const update of updates) addUpdate(results[update.sequence], update);
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
  if (prompts.length === 0) return;
  signal?.throwIfAborted();
  const size = await prepareDecoding(model, lengths, options);
  const pass = decodingPass(model);
  try {
    const decoding = new Decoding(model, size, settings, pass);
    const alignment = KvCache.alignment(model.config);
    const rows = new PromptRows(lengths, copies, size.promptRows, alignment);
    const schedule = new RowSchedule(size.rows, prompts.length * copies, settings);
    const work = { prompts, decoding, rows, schedule };
    // The device keeps the tokens of as many steps as the longest sequence has.
    yield* write(model, work, Math.min(every, settings.maxNewTokens), signal);
  } finally {
    pass.dispose();
  }
}

interface Work {
  prompts: readonly (readonly number[])[];
  decoding: Decoding;
  rows: PromptRows;
  schedule: RowSchedule;
}

async function* write(
  model: CausalLM,
  work: Work,
  every: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<GenerationUpdate[], void> {
  const { decoding, rows, schedule } = work;
  // One read of the tokens is always in flight while the device generates the next ones.
  let reading: Promise<ChosenTokens> | undefined;
  try {
    admit(work, schedule.seats);
    schedule.record();
    let read = 0;
    for (;;) {
      await model.gpu.settle(model.gpu.recorder.throttle());
      signal?.throwIfAborted();
      const isLast = decoding.step >= schedule.lastStep;
      if (isLast || decoding.step - read >= every) {
        const next = decoding.read(read);
        next.catch(() => {}); // awaited later
        read = decoding.step;
        model.gpu.recorder.flush();
        const arrived = isLast ? [reading, next] : [reading];
        reading = next;
        for (const look of arrived) {
          if (!look) continue;
          const updates = schedule.follow(await look);
          for (const { finished, sequence } of updates) if (finished) rows.end(sequence);
          signal?.throwIfAborted();
          if (updates.length > 0) yield updates;
        }
        const { open, isWaiting } = schedule;
        if (isLast || (open.length === 0 && !isWaiting)) return;
        admit(work);
        // Fewer rows make a step faster, but changed sizes require new buffers.
        if (!isWaiting && open.length <= (decoding.rows * 7) / 8) {
          schedule.keep(open);
          decoding.seat(open);
        }
      }
      const ready = schedule.isWaiting ? rows.ready : undefined;
      schedule.record(ready);
      decoding.advance(ready);
    }
  } finally {
    decoding.dispose();
  }
}

/** Computes the next prompts if there is room; at once if rows would be idle. The first ones fill the rows. */
function admit({ prompts, decoding, rows, schedule }: Work, seats?: readonly Seat[]): void {
  for (const { first, count, from } of rows.admit(schedule.next >= rows.ready)) {
    decoding.prefill(first, from, prompts.slice(first, first + count), first === 0 ? seats : undefined);
  }
}
