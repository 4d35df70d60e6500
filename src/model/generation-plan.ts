/**
 * How many sequences generation takes at a time, and what that needs, found on a device that only counts. The batch is a
 * function of the model and its adapters, the options, the number of prompts, the longest prompt, the device's limits and
 * the memory cap. It does not depend on what else is in memory: a run that is repeated or resumed has the same batches.
 */

import { MemoryCapError } from '../gpu/errors.ts';
import type { Rehearsal } from '../gpu/rehearsal.ts';
import type { CausalLM } from './causal-lm.ts';
import { Decoding, type DecodingBatch, type DecodingSettings } from './decoding.ts';
import type { DecodingPass } from './decoding-pass.ts';
import { checkLengths, checkOptions, type GenerationOptions } from './generation-options.ts';

/** Of the longest batch, beside what the model holds. */
export interface GenerationPlan extends Rehearsal {
  /** Sequences that go through the device at a time. */
  batchSize: number;
}

/** Most bytes of a batch. */
const BATCH_BYTES = 256 * 2 ** 20;

/**
 * What {@link generate} will do with prompts of these lengths. To rehearse prompts that are not known yet, give the longest
 * length for each. Allocates and runs nothing. Throws `InputError` as generation would.
 */
export function planGeneration(
  model: CausalLM,
  promptLengths: readonly number[],
  options: GenerationOptions,
): GenerationPlan {
  const { settings, copies, batchSize } = checkOptions(model, options);
  checkLengths(model, promptLengths, settings.maxNewTokens);
  const total = promptLengths.length * copies;
  if (total === 0) return { batchSize, bytes: 0, buffers: [], pipelines: [] };
  const longest = new Array<number>(Math.max(...promptLengths)).fill(0);
  const room = roomOf(model, longest.length + settings.maxNewTokens);
  for (let size = Math.min(batchSize, total); ; size = Math.ceil(size / 2)) {
    // A batch that is not the only one may begin with the last sequence of a prompt.
    const sequences = promptsOf(size < total ? copies - 1 : 0, size, copies);
    const prompts = new Array<number[]>((sequences.at(-1) as number) + 1).fill(longest);
    const { passBytes, ...plan } = Decoding.plan(model, { prompts, sequences, firstSequence: 0 }, settings);
    if (plan.bytes <= Math.min(room.device, room.batch + passBytes) || size === 1)
      return { batchSize: size, ...plan };
  }
}

/** Sequences `first` to `first + size` of all, as far as there are so many. */
export function batchOf(
  prompts: readonly (readonly number[])[],
  copies: number,
  first: number,
  size: number,
): DecodingBatch {
  const end = Math.min(first + size, prompts.length * copies);
  const from = Math.floor(first / copies);
  return {
    prompts: prompts.slice(from, Math.ceil(end / copies)),
    sequences: promptsOf(first % copies, end - first, copies),
    firstSequence: first,
  };
}

/** Compiles what a batch needs. Throws {@link MemoryCapError} where there is no room for it now. */
export async function prepareBatch(
  model: CausalLM,
  batch: DecodingBatch,
  settings: DecodingSettings,
  /** The pass that is there already, if it is not the first batch. */
  pass: DecodingPass | undefined,
): Promise<void> {
  const { gpu } = model;
  const { bytes, pipelines } = Decoding.plan(model, batch, settings);
  const needed = gpu.memory().live + bytes - (pass?.bytes ?? 0);
  if (needed > gpu.pool.cap) {
    const { length } = batch.sequences;
    const [what, less] =
      length > 1
        ? [`Generation of ${length} sequences at a time`, `Set batchSize below ${length}`]
        : ['Generation of one sequence', 'Shorten the prompt'];
    const wayOut = `${less}, lower maxNewTokens, release what else is on the device, or raise the memory cap`;
    throw new MemoryCapError(needed, gpu.pool.cap, what, wayOut);
  }
  await gpu.compile(pipelines);
}

/** The prompt of each of `size` sequences, where the first is the `offset`-th of its prompt. */
function promptsOf(offset: number, size: number, copies: number): number[] {
  return Array.from({ length: size }, (_, i) => Math.floor((offset + i) / copies));
}

/** Bytes that a pass and its batch may hold together, and the batch alone. */
function roomOf(model: CausalLM, length: number): { device: number; batch: number } {
  const { gpu } = model;
  const device = gpu.pool.cap - model.bytesHeld(length);
  return { device, batch: Math.min(BATCH_BYTES, gpu.limits.maxStorageBufferBindingSize) };
}
