/**
 * Samples completions of prompts for training: from the model's full distribution, with the sampled end token, the text for
 * rewards, and log-probabilities under the policy and the reference, computed by the training kernels. Does not depend on a
 * loss.
 */
import { counted } from '../base/counted.ts';
import { say, setting } from '../base/sentence.ts';
import { atOnce, mapSliced, type Sliced } from '../base/slices.ts';
import type { Message } from '../data/chat-template.ts';
import { packExamples, type TokenizedExample, type TokenizedSequence } from '../data/packing.ts';
import type { PromptRow } from '../data/prompt-dataset.ts';
import { notice } from '../data/tokenize-completions.ts';
import { requireEmbedded, type Tokenizer } from '../data/tokenizer.ts';
import { InputError } from '../io/errors.ts';
import { DeviceBatch } from '../model/batch.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import {
  addUpdate,
  emptyGenerations,
  type Generation,
  sampledTokens,
  streamGeneration,
} from '../model/generation.ts';
import type { GenerationOptions } from '../model/generation-options.ts';
import type { TrainEvent } from '../train/events.ts';
import {
  type SequenceScores,
  sequenceLogprobs,
  sequenceScores,
} from '../train/measures/sequence-logprobs.ts';
import type { Reference } from '../train/references/reference.ts';

/** A row with its token ids. */
export interface Prompt {
  row: PromptRow;
  ids: number[];
}

/** What to sample for every prompt. */
export interface SamplingSettings {
  numGenerations: number;
  maxCompletionLength: number;
  temperature: number;
  seed: number;
}

/** `numGenerations` completions of every prompt, adjacent. */
export interface Samples {
  prompts: readonly Prompt[];
  /** Each prompt with its completions, including end tokens. */
  examples: TokenizedExample[];
  completions: (string | Message[])[];
  tokenizer: Tokenizer;
  finished: ('eos' | 'length')[];
}

/**
 * Tokenizes prompts, conversations with the generation prompt. Throws {@link InputError} with the row if a prompt is empty,
 * or leaves too few of the model's positions for `maxCompletionLength` tokens.
 */
export function tokenizePrompts(
  rows: readonly PromptRow[],
  tokenizer: Tokenizer,
  model: Pick<CausalLM, 'config' | 'name'>,
  maxCompletionLength: number,
): Prompt[] {
  return atOnce(promptTokens(rows, tokenizer, model, maxCompletionLength));
}

/** {@link tokenizePrompts} in slices. */
export function promptTokens(
  rows: readonly PromptRow[],
  tokenizer: Tokenizer,
  { config, name }: Pick<CausalLM, 'config' | 'name'>,
  maxCompletionLength: number,
): Sliced<Prompt[]> {
  const room = config.maxPositionEmbeddings - maxCompletionLength;
  return mapSliced(rows, (row, index) => {
    const where = row.where ?? `row ${index + 1}`;
    const ids =
      typeof row.prompt === 'string'
        ? tokenizer.encode(row.prompt)
        : tokenizer.encodeChat(row.prompt, { addGenerationPrompt: true });
    const prompt = tokenizer.addsEos && typeof row.prompt === 'string' ? ids.slice(0, -1) : ids;
    if (prompt.length === 0) {
      const wayOut = 'Write a prompt, or use a tokenizer that adds a BOS token';
      throw new InputError(where, 'the prompt has no tokens', wayOut);
    }
    requireEmbedded(tokenizer, prompt, config.vocabSize, where);
    if (prompt.length > room) {
      const what = `the prompt has ${counted(prompt.length, 'token')}, which leaves no space for ${maxCompletionLength} new ones in the ${config.maxPositionEmbeddings} positions of ${name}`;
      throw new InputError(
        where,
        what,
        say`Lower ${setting('maxCompletionLength')}, or shorten or remove the row`,
      );
    }
    return { row, ids: prompt };
  });
}

/** Notices about a model that generates, one line each. */
export function samplingNotices({ config, name }: Pick<CausalLM, 'config' | 'name'>): string[] {
  if (config.eosTokenIds.length > 0) return [];
  return [`${name} has no end token: every completion is cut at its full length.`];
}

/** A notice about rows with repeated prompts, which are sampled more often than others. */
export function repeatedPrompts(prompts: readonly Prompt[]): string | undefined {
  const seen = new Set<string>();
  const repeated = prompts.flatMap(({ ids }, i) => {
    const key = ids.join(' ');
    if (seen.has(key)) return [i + 1];
    seen.add(key);
    return [];
  });
  return notice(repeated, 'the prompt repeats an earlier one, so it is sampled more often');
}

/**
 * Samples at the temperature from the full distribution, because log-probabilities, ratios and KL refer to it. Yields the
 * number of tokens generated so far; returns undefined if aborted.
 */
export async function* sampleCompletions(
  model: CausalLM,
  tokenizer: Tokenizer,
  prompts: readonly Prompt[],
  settings: SamplingSettings,
  signal?: AbortSignal,
): AsyncGenerator<number, Samples | undefined> {
  const { numGenerations } = settings;
  const written = emptyGenerations(prompts.length * numGenerations);
  const ids = prompts.map((prompt) => prompt.ids);
  let tokens = 0;
  // Generation and training take turns: neither may keep the other's buffers, so that a run needs the larger of the two.
  const { pool } = model.gpu;
  pool.trim();
  try {
    for await (const updates of streamGeneration(model, ids, { ...drawn(settings), signal, every: 8 })) {
      for (const update of updates) {
        addUpdate(written[update.sequence], update);
        tokens += update.ids.length + (update.endId === undefined ? 0 : 1);
      }
      yield tokens;
    }
  } catch (error) {
    if (signal?.aborted) return undefined;
    throw error;
  } finally {
    pool.trim();
  }
  return samplesOf(prompts, written, tokenizer, numGenerations);
}

/** Samples from the generations of prompts, `copies` per prompt, adjacent. */
export function samplesOf(
  prompts: readonly Prompt[],
  written: readonly Generation[],
  tokenizer: Tokenizer,
  copies: number,
): Samples {
  const examples = prompts.map((prompt, p) => ({
    prompt: prompt.ids,
    completions: written.slice(p * copies, (p + 1) * copies).map(sampledTokens),
  }));
  const completions = written.map((generation, i) => {
    const text = tokenizer.decode(generation.ids);
    const { row } = prompts[Math.floor(i / copies)];
    return typeof row.prompt === 'string' ? text : [{ role: 'assistant', content: text }];
  });
  return { prompts, examples, completions, tokenizer, finished: written.map(({ finished }) => finished) };
}

/** {@link sampleCompletions} for a step, with progress events. */
export async function* writeCompletions(
  model: CausalLM,
  tokenizer: Tokenizer,
  prompts: readonly Prompt[],
  settings: SamplingSettings,
  {
    step,
    signal,
    sample = sampleCompletions,
  }: {
    step: number;
    signal?: AbortSignal | undefined;
    sample?: typeof sampleCompletions | undefined;
  },
): AsyncGenerator<TrainEvent, Samples | undefined> {
  const mostTokens = prompts.length * settings.numGenerations * settings.maxCompletionLength;
  const writing = sample(model, tokenizer, prompts, settings, signal);
  for (;;) {
    const { done, value } = await writing.next();
    if (done) return value;
    yield { type: 'writing', step, tokens: value, mostTokens };
  }
}

/** The options for generation. */
export function drawn({
  numGenerations,
  maxCompletionLength,
  temperature,
  seed,
}: SamplingSettings): GenerationOptions {
  return { numReturnSequences: numGenerations, maxNewTokens: maxCompletionLength, temperature, seed };
}

/** log π of every token of every completion, with the current model. */
export function policyLogprobs(
  model: CausalLM,
  examples: readonly TokenizedExample[],
  temperature: number,
): Promise<Float32Array[]> {
  return sequenceLogprobs(model, sequencesOf(examples), { temperature });
}

/** The same with entropies. */
export function policyScores(
  model: CausalLM,
  examples: readonly TokenizedExample[],
  temperature: number,
): Promise<SequenceScores[]> {
  return sequenceScores(model, sequencesOf(examples), { temperature });
}

export function sequencesOf(examples: readonly TokenizedExample[]): TokenizedSequence[] {
  return examples.flatMap(({ prompt, completions }) =>
    completions.map((completion) => ({ prompt, completion })),
  );
}

/** log π_ref of the same, some examples at a time. */
export async function referenceLogprobs(
  { gpu }: CausalLM,
  reference: Reference,
  examples: readonly TokenizedExample[],
  { batchSize, temperature }: { batchSize: number; temperature: number },
): Promise<Float32Array[]> {
  const all: Float32Array[] = [];
  for (let start = 0; start < examples.length; start += batchSize) {
    const some = examples.slice(start, start + batchSize);
    const packed = packExamples(some);
    const batch = new DeviceBatch(gpu, packed);
    const rows = reference.rows(gpu, batch, some, temperature);
    const reading = gpu.read(rows);
    gpu.pool.release(rows);
    batch.dispose();
    const values = new Float32Array(await reading);
    const [, ...ends] = packed.sequenceOffsets;
    all.push(...ends.map((end, s) => values.slice(packed.sequenceOffsets[s], end)));
  }
  return all;
}
