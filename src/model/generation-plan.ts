/**
 * Determines how many sequences generation processes at a time, and the resources for that, with a counting device. The
 * batch size depends on the model and its adapters, the options, the number of prompts, the longest prompt, the device's
 * limits and the memory cap. It does not depend on current memory use, so that a repeated or resumed run has the same
 * batches.
 */

import { MemoryCapError } from '../gpu/errors.ts';
import type { Rehearsal } from '../gpu/rehearsal.ts';
import type { CausalLM } from './causal-lm.ts';
import { Decoding, type DecodingBatch, type DecodingSettings } from './decoding.ts';
import type { DecodingPass } from './decoding-pass.ts';
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
  const { settings, copies, batchSize } = checkOptions(model, options);
  checkLengths(model, promptLengths, settings.maxNewTokens);
  const total = promptLengths.length * copies;
  if (total === 0) return { batchSize, bytes: 0, buffers: [], pipelines: [] };
  const longest = new Array<number>(Math.max(...promptLengths)).fill(0);
  const room = roomOf(model, longest.length + settings.maxNewTokens);
  for (let size = Math.min(batchSize, total); ; size = Math.ceil(size / 2)) {
    // A batch other than the only one may begin with the last sequence of a prompt.
    const sequences = promptsOf(size < total ? copies - 1 : 0, size, copies);
    const prompts = new Array<number[]>((sequences.at(-1) as number) + 1).fill(longest);
    const { passBytes, ...plan } = Decoding.plan(model, { prompts, sequences, firstSequence: 0 }, settings);
    if (plan.bytes <= Math.min(room.device, room.batch + passBytes) || size === 1)
      return { batchSize: size, ...plan };
  }
}

/** Sequences `first` to `first + size`, as far as they exist. */
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

/** Compiles the kernels of a batch. Throws {@link MemoryCapError} if there is currently not enough memory. */
export async function prepareBatch(
  model: CausalLM,
  batch: DecodingBatch,
  settings: DecodingSettings,
  /** The existing pass, unless this is the first batch. */
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
    const wayOut = `${less}, lower maxNewTokens, free other memory of the device, or raise the memory cap`;
    throw new MemoryCapError(needed, gpu.pool.cap, what, wayOut);
  }
  await gpu.compile(pipelines);
}

/** The prompt of each of `size` sequences, the first of which is sequence `offset` of its prompt. */
function promptsOf(offset: number, size: number, copies: number): number[] {
  return Array.from({ length: size }, (_, i) => Math.floor((offset + i) / copies));
}

/** Maximum bytes of a pass with its batch, and of the batch alone. */
function roomOf(model: CausalLM, length: number): { device: number; batch: number } {
  const { gpu } = model;
  const device = gpu.pool.cap - model.bytesHeld(length);
  return { device, batch: Math.min(BATCH_BYTES, gpu.limits.maxStorageBufferBindingSize) };
}
