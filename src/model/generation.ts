/**
 * Text generation, batched, with transformers' names: what may be asked for, how many sequences go through the device
 * at a time, and when to look at what has been written. Token ids in and out; text is the caller's business. What a
 * sequence becomes is a matter of its prompt, the seed and its number; who shares its batch touches no more than the
 * rounding of sums.
 */
import { MemoryCapError } from '../gpu/errors.ts';
import { InputError } from '../io/errors.ts';
import { INVALID_TOKEN } from '../ops/sample.ts';
import type { CausalLM } from './causal-lm.ts';
import { Decoding, type DecodingBatch, type DecodingSettings } from './decoding.ts';

export interface GenerationOptions {
  maxNewTokens: number;
  /** Draw tokens, which is the default; false takes the likeliest one each time. */
  doSample?: boolean | undefined;
  /** Default 1; 0 takes the likeliest token each time. */
  temperature?: number | undefined;
  /** Draw from the k likeliest tokens; 0, the default, from all. */
  topK?: number | undefined;
  /** Draw from the likeliest tokens that make up this probability; 1, the default, from all. */
  topP?: number | undefined;
  /** Default 0. */
  seed?: number | undefined;
  /** Tokens that end a sequence; those of the model's configuration by default. */
  eosTokenIds?: readonly number[] | undefined;
  /** Sequences for each prompt, default 1. */
  numReturnSequences?: number | undefined;
  /** Most sequences at a time; by default as many as memory allows. */
  batchSize?: number | undefined;
  /** Stops with the signal's reason. */
  signal?: AbortSignal | undefined;
}

export interface Generation {
  /** New tokens, without the one that ends the sequence. */
  ids: number[];
  finished: 'eos' | 'length';
}

/** News of one sequence. Prompt p's are numbered from p · numReturnSequences. */
export interface GenerationUpdate {
  sequence: number;
  /** Tokens since the last update. */
  ids: number[];
  /** Once, with the last tokens. */
  finished?: 'eos' | 'length';
}

export interface StreamOptions extends GenerationOptions {
  /** Steps between two looks at what has been written, default 4. */
  every?: number | undefined;
}

/** Most sequences and bytes of a batch, as far as nothing else is asked for. */
const BATCH_SEQUENCES = 1024;
const BATCH_BYTES = 256 * 2 ** 20;

/**
 * Continues every prompt, numReturnSequences times; prompt p's results begin at p · numReturnSequences.
 * {@link InputError} for a prompt that is empty or too long, a token that the model does not have, or a wrong option.
 */
export async function generate(
  model: CausalLM,
  prompts: readonly (readonly number[])[],
  options: GenerationOptions,
): Promise<Generation[]> {
  const count = prompts.length * (options.numReturnSequences ?? 1);
  const results: Generation[] = Array.from({ length: count }, () => ({ ids: [], finished: 'length' }));
  for await (const updates of streamGeneration(model, prompts, options)) {
    for (const { sequence, ids, finished } of updates) {
      const result = results[sequence] as Generation;
      result.ids.push(...ids);
      if (finished) result.finished = finished;
    }
  }
  return results;
}

/** The same as it is written: `for await (const updates of streamGeneration(…))`, every few tokens. */
export async function* streamGeneration(
  model: CausalLM,
  prompts: readonly (readonly number[])[],
  options: StreamOptions,
): AsyncGenerator<GenerationUpdate[], void> {
  const settings = checkOptions(model, options);
  const { numReturnSequences: copies = 1, batchSize = BATCH_SEQUENCES, signal, every = 4 } = options;
  checkCount('numReturnSequences', copies);
  checkCount('batchSize', batchSize);
  checkCount('every', every);
  checkPrompts(model, prompts, settings.maxNewTokens);
  let size = batchSize;
  for (let first = 0; first < prompts.length * copies; first += size) {
    signal?.throwIfAborted();
    const batch = await largestBatch(model, prompts, copies, first, size, settings);
    size = batch.sequences.length;
    yield* writeBatch(model, batch, settings, every, signal);
  }
}

/** Up to `size` sequences from `first` on, as many as there is room for; their kernels are compiled then. */
async function largestBatch(
  model: CausalLM,
  prompts: readonly (readonly number[])[],
  copies: number,
  first: number,
  size: number,
  settings: DecodingSettings,
): Promise<DecodingBatch> {
  const { gpu } = model;
  const { live } = gpu.memory();
  const left = gpu.pool.cap - live;
  const room = Math.min(BATCH_BYTES, left, gpu.limits.maxStorageBufferBindingSize);
  let end = Math.min(first + size, prompts.length * copies);
  for (;;) {
    const from = Math.floor(first / copies);
    const batch = {
      prompts: prompts.slice(from, Math.ceil(end / copies)),
      sequences: Array.from({ length: end - first }, (_, i) => Math.floor((first + i) / copies) - from),
      firstSequence: first,
    };
    const { bytes, pipelines } = Decoding.plan(model, batch, settings);
    if (bytes <= room || batch.sequences.length === 1) {
      if (bytes > left) throw new MemoryCapError(live + bytes, gpu.pool.cap, 'Generation');
      await gpu.compile(pipelines);
      return batch;
    }
    end = first + Math.ceil((end - first) / 2);
  }
}

async function* writeBatch(
  model: CausalLM,
  batch: DecodingBatch,
  settings: DecodingSettings,
  every: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<GenerationUpdate[], void> {
  const { maxNewTokens } = settings;
  const decoding = new Decoding(model, batch, settings);
  let open = batch.sequences.map((_, i) => i);
  // One look at the tokens is always under way while the device writes the next ones.
  let reading: { from: number; tokens: Promise<Uint32Array> } | undefined;
  try {
    decoding.prefill();
    let read = 0;
    for (;;) {
      await model.gpu.settle(model.gpu.recorder.throttle());
      signal?.throwIfAborted();
      const isLast = decoding.step === maxNewTokens;
      if (isLast || decoding.step - read >= every) {
        const next = { from: read, tokens: decoding.read(read) };
        next.tokens.catch(() => {}); // awaited later
        read = decoding.step;
        model.gpu.recorder.flush();
        const arrived = isLast ? [reading, next] : [reading];
        reading = next;
        for (const look of arrived) {
          if (!look) continue;
          const updates = follow(open, await look.tokens, look.from, batch, settings);
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

/** What the tokens (steps, S) of the steps from `from` on mean for the open sequences. */
function follow(
  open: readonly number[],
  tokens: Uint32Array,
  from: number,
  { sequences, firstSequence }: DecodingBatch,
  { eosTokenIds, maxNewTokens }: DecodingSettings,
): GenerationUpdate[] {
  const steps = tokens.length / sequences.length;
  return open.map((i) => {
    const update: GenerationUpdate = { sequence: firstSequence + i, ids: [] };
    for (let step = 0; step < steps && !update.finished; step++) {
      const token = tokens[step * sequences.length + i] as number;
      if (token === INVALID_TOKEN) {
        throw new InputError(
          `sequence ${update.sequence + 1}, new token ${from + step + 1}`,
          "the model's logits are not numbers",
          'Look for NaN in the weights and in the adapters, or lower the learning rate that trained them',
        );
      }
      if (eosTokenIds.includes(token)) update.finished = 'eos';
      else update.ids.push(token);
    }
    if (from + steps === maxNewTokens) update.finished ??= 'length';
    return update;
  });
}

function checkPrompts(
  { config, name }: CausalLM,
  prompts: readonly (readonly number[])[],
  maxNewTokens: number,
): void {
  const { maxPositionEmbeddings, vocabSize } = config;
  for (const [i, prompt] of prompts.entries()) {
    const where = `prompt ${i + 1}`;
    if (prompt.length === 0) throw new InputError(where, 'it has no tokens', 'Begin it with the BOS token');
    if (prompt.length + maxNewTokens > maxPositionEmbeddings) {
      const left = maxPositionEmbeddings - prompt.length;
      throw new InputError(
        where,
        `its ${prompt.length} tokens and ${maxNewTokens} new ones are more than the ${maxPositionEmbeddings} positions of ${name}`,
        left > 0 ? `Shorten it, or lower maxNewTokens to ${left}` : 'Shorten it',
      );
    }
    const unknown = prompt.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocabSize));
    if (unknown !== undefined) {
      throw new InputError(
        where,
        `token ${unknown} is not among the ${vocabSize} of ${name}`,
        'Use the tokenizer that belongs to the model',
      );
    }
  }
}

function checkOptions({ config }: CausalLM, options: GenerationOptions): DecodingSettings {
  const { maxNewTokens, doSample = true, temperature = 1, topK = 0, topP = 1, seed = 0 } = options;
  checkCount('maxNewTokens', maxNewTokens);
  check(
    'temperature',
    temperature,
    temperature >= 0 && temperature < Number.POSITIVE_INFINITY,
    'a number from 0',
  );
  check('topK', topK, Number.isSafeInteger(topK) && topK >= 0, 'a whole number, 0 for all tokens');
  check('topP', topP, topP > 0 && topP <= 1, 'a number above 0 and up to 1');
  check('seed', seed, Number.isSafeInteger(seed) && seed >= 0, 'a whole number from 0');
  const high = Math.floor(seed / 2 ** 32);
  return {
    maxNewTokens,
    // What f32 holds as 0 is 0.
    temperature: doSample && temperature > 1e-30 ? temperature : 0,
    topK,
    topP,
    seed: (seed ^ Math.imul(high, 0x9e3779b9)) >>> 0,
    eosTokenIds: options.eosTokenIds ?? config.eosTokenIds,
  };
}

function checkCount(name: string, value: number): void {
  check(name, value, Number.isSafeInteger(value) && value >= 1, 'a whole number from 1');
}

function check(name: string, value: unknown, isGood: boolean, wanted: string): void {
  if (!isGood)
    throw new InputError(`generation option ${name}`, `${value} is not ${wanted}`, `Set it to ${wanted}`);
}
