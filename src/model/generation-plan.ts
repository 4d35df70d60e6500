/**
 * Determines how many sequences generation processes at a time, and the resources for that, with a counting device. The
 * batch size depends on the model and its adapters, the options, the number of prompts, the longest prompt, the device's
 * limits and the memory cap. It does not depend on current memory use, so that a repeated or resumed run has the same
 * batches.
 */

import { MemoryCapError } from '../gpu/errors.ts';
import type { Rehearsal } from '../gpu/rehearsal.ts';
import { MOST_ROWS } from '../ops/refill.ts';
import type { CausalLM } from './causal-lm.ts';
import { Decoding, type DecodingSettings, type DecodingSize } from './decoding.ts';
import { checkLengths, checkOptions, type GenerationOptions } from './generation-options.ts';

/** The plan of the largest batch, excluding the memory of the model. */
export interface GenerationPlan extends Rehearsal {
  /** Number of sequences processed at a time. */
  batchSize: number;
}

/** Maximum bytes of a batch. */
const BATCH_BYTES = 256 * 2 ** 20;

/**
 * Plans {@link generate} for prompts of these lengths. If the prompts are not known yet, give the maximum length for each.
 * Allocates and runs nothing. Throws `InputError` like generation.
 */
export function planGeneration(
  model: CausalLM,
  promptLengths: readonly number[],
  options: GenerationOptions,
): GenerationPlan {
  const { settings, batchSize } = checkOptions(model, options);
  checkLengths(model, promptLengths, settings.maxNewTokens);
  if (promptLengths.length === 0) return { batchSize, bytes: 0, buffers: [], pipelines: [] };
  const { rows, plan } = planRows(model, promptLengths, options);
  return { batchSize: rows, ...plan };
}

/** The size of {@link generate} for these prompts, and their kernels. Throws {@link MemoryCapError} if there is not enough memory now. */
export async function prepareDecoding(
  model: CausalLM,
  promptLengths: readonly number[],
  options: GenerationOptions,
): Promise<DecodingSize> {
  const { rows, held } = planRows(model, promptLengths, options);
  const { settings, copies } = checkOptions(model, options);
  const size = sizeOf(promptLengths, copies, rows, held);
  await prepare(model, size, settings);
  return size;
}

/** How many sequences are written at a time, and for how many prompts the cache has room. */
function planRows(
  model: CausalLM,
  promptLengths: readonly number[],
  options: GenerationOptions,
): { rows: number; held: number; plan: Rehearsal } {
  const { settings, copies, batchSize } = checkOptions(model, options);
  const total = promptLengths.length * copies;
  const longest = Math.max(...promptLengths);
  const lengths = new Array<number>(promptLengths.length).fill(longest);
  const room = roomOf(model, longest + settings.maxNewTokens);
  for (let rows = Math.min(batchSize, total, MOST_ROWS); ; rows = Math.ceil(rows / 2)) {
    const least = Math.ceil(rows / copies);
    // Long sequences keep their prompts, while the next prompts are computed before a row is free for them.
    const wanted = Math.max(least, Math.min(Math.floor(1.25 * rows), 2 * least + 1));
    for (const held of rows < total && wanted > least ? [wanted, least] : [least]) {
      const { passBytes, ...plan } = Decoding.plan(model, sizeOf(lengths, copies, rows, held), settings);
      const fits = plan.bytes <= Math.min(room.device, room.batch + passBytes);
      if (fits || (rows === 1 && held === least)) return { rows, held, plan };
    }
  }
}

function sizeOf(promptLengths: readonly number[], copies: number, rows: number, held: number): DecodingSize {
  const longestPrompt = Math.max(...promptLengths);
  const all = promptLengths.reduce((sum, length) => sum + length, 0);
  const promptRows = Math.min(held * longestPrompt, all);
  return { rows, prompts: promptLengths.length, copies, longestPrompt, promptRows };
}

async function prepare(model: CausalLM, size: DecodingSize, settings: DecodingSettings): Promise<void> {
  const { gpu } = model;
  const { bytes, pipelines } = Decoding.plan(model, size, settings);
  const needed = gpu.memory().live + bytes;
  if (needed > gpu.pool.cap) {
    const { rows } = size;
    const [what, less] =
      rows > 1
        ? [`Generation of ${rows} sequences at a time`, `Set batchSize below ${rows}`]
        : ['Generation of one sequence', 'Shorten the prompt'];
    const wayOut = `${less}, lower maxNewTokens, free other memory of the device, or raise the memory cap`;
    throw new MemoryCapError(needed, gpu.pool.cap, what, wayOut);
  }
  await gpu.compile(pipelines);
}

/** Maximum bytes of a pass with its batch, and of the batch alone. */
function roomOf(model: CausalLM, length: number): { device: number; batch: number } {
  const { gpu } = model;
  const device = gpu.pool.cap - model.bytesHeld(length);
  return { device, batch: Math.min(BATCH_BYTES, gpu.limits.maxStorageBufferBindingSize) };
}
