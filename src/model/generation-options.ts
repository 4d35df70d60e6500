/**
 * The options of generation, under transformers' names, and their validation for a model and its prompts. Runs nothing.
 */
import { counted } from '../base/counted.ts';
import { FLOAT32_MOST, inFloat32, WHOLE_MOST } from '../base/range.ts';
import type { AdapterKind } from '../gpu/profile.ts';
import { InputError } from '../io/errors.ts';
import { INVALID_TOKEN } from '../ops/sample.ts';
import type { CausalLM } from './causal-lm.ts';
import type { DecodingSettings } from './decoding.ts';

/**
 * A token is chosen in the order of transformers' `generate`: the repetition penalty on the model's logits, then
 * temperature, top-k, top-p and min-p. Without sampling only the penalty has an effect.
 */
export interface GenerationOptions {
  maxNewTokens: number;
  /** Whether to sample; default: true. False takes the most likely token at each step. */
  doSample?: boolean | undefined;
  /** Default: 1; 0 takes the most likely token at each step. */
  temperature?: number | undefined;
  /** Samples from the k most likely tokens; default: 0, all tokens. */
  topK?: number | undefined;
  /** Samples from the smallest set of most likely tokens with this total probability; default: 1, all tokens. */
  topP?: number | undefined;
  /** Samples from tokens whose probability is at least this fraction of the highest one; default: 0, all tokens. */
  minP?: number | undefined;
  /**
   * Divides the positive logits of tokens that already occur in the prompt or the text, and multiplies negative ones;
   * default: 1, no effect.
   */
  repetitionPenalty?: number | undefined;
  /** Default: 0. */
  seed?: number | undefined;
  /** Tokens that end a sequence; default: those of the model's configuration. */
  eosTokenIds?: readonly number[] | undefined;
  /** Sequences per prompt; default: 1. */
  numReturnSequences?: number | undefined;
  /** Maximum number of sequences at a time; default: 1024, on a software adapter 64. `planGeneration` returns the actual number. */
  batchSize?: number | undefined;
  /** Whether to return the log-probability of every sampled token; see `SampledLogprobs`. */
  returnLogprobs?: boolean | undefined;
  /** Aborts generation, which then throws the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** The resolved options. */
export interface CheckedOptions {
  settings: DecodingSettings;
  /** Sequences per prompt. */
  copies: number;
  /** Maximum number of sequences at a time. */
  batchSize: number;
}

/** Maximum number of sequences of one prompt. */
const MOST_COPIES = 2 ** 16;
/**
 * Default maximum number of sequences at a time. A GPU computes many rows in the time of one. On a software adapter, a token takes
 * as long in 16 rows as in 64, and fewer rows waste fewer steps: sequences that end leave at once as long as others wait.
 */
const ROWS_BY_ADAPTER: Readonly<Record<AdapterKind, number>> = { software: 64, hardware: 1024 };

/** Throws {@link InputError} for an invalid option. */
export function checkOptions({ config, gpu }: CausalLM, options: GenerationOptions): CheckedOptions {
  const { maxNewTokens, doSample = true, temperature = 1, topK = 0, topP = 1, minP = 0, seed = 0 } = options;
  const { repetitionPenalty = 1, numReturnSequences: copies = 1 } = options;
  const { eosTokenIds = config.eosTokenIds, returnLogprobs = false } = options;
  const { batchSize = ROWS_BY_ADAPTER[gpu.adapterProfile.kind] } = options;
  checkCount('maxNewTokens', maxNewTokens);
  checkCount('numReturnSequences', copies, MOST_COPIES);
  checkCount('batchSize', batchSize);
  check(
    'temperature',
    temperature,
    temperature >= 0 && temperature <= FLOAT32_MOST,
    'a number from 0 to 3.4e38',
  );
  const areMost = Number.isSafeInteger(topK) && topK >= 0 && topK <= WHOLE_MOST;
  check('topK', topK, areMost, `a whole number up to ${WHOLE_MOST}, 0 for all tokens`);
  check('topP', topP, topP > 0 && topP <= 1, 'a number above 0 and up to 1');
  check('minP', minP, minP >= 0 && minP <= 1, 'a number from 0 to 1');
  const penalizes = repetitionPenalty > 0 && inFloat32(repetitionPenalty);
  check(
    'repetitionPenalty',
    repetitionPenalty,
    penalizes,
    'a number above 0, within float32; 1 is no penalty',
  );
  const areIds = eosTokenIds.every((id) => Number.isInteger(id) && id >= 0 && id < INVALID_TOKEN);
  check('eosTokenIds', eosTokenIds, areIds, 'a list of token ids');
  check('seed', seed, Number.isSafeInteger(seed) && seed >= 0, 'a whole number from 0');
  const high = Math.floor(seed / 2 ** 32);
  return {
    settings: {
      maxNewTokens,
      // A temperature that float32 rounds to 0 counts as 0.
      temperature: doSample && temperature > 1e-30 ? temperature : 0,
      topK,
      topP,
      minP,
      repetitionPenalty,
      seed: (seed ^ Math.imul(high, 0x9e3779b9)) >>> 0,
      eosTokenIds,
      returnLogprobs,
    },
    copies,
    batchSize,
  };
}

/** Throws {@link InputError} for a prompt that is empty, or too long for the model. */
export function checkLengths(
  { config, name }: CausalLM,
  promptLengths: readonly number[],
  maxNewTokens: number,
): void {
  const { maxPositionEmbeddings } = config;
  for (const [i, length] of promptLengths.entries()) {
    const where = `prompt ${i + 1}`;
    if (length === 0) throw new InputError(where, 'the prompt has no tokens', 'Begin it with the BOS token');
    if (length + maxNewTokens <= maxPositionEmbeddings) continue;
    const left = maxPositionEmbeddings - length;
    throw new InputError(
      where,
      `its ${counted(length, 'token')} and ${maxNewTokens} new ones exceed the ${maxPositionEmbeddings} positions of ${name}`,
      left > 0 ? `Shorten it, or lower maxNewTokens to ${left}` : 'Shorten it',
    );
  }
}

/** Throws {@link InputError} for a token that the model does not have. */
export function checkTokens(
  { config: { vocabSize }, name }: CausalLM,
  prompts: readonly (readonly number[])[],
): void {
  for (const [i, prompt] of prompts.entries()) {
    const unknown = prompt.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocabSize));
    if (unknown === undefined) continue;
    throw new InputError(
      `prompt ${i + 1}`,
      `token ${unknown} is not one of the ${vocabSize} tokens of ${name}`,
      'Use the tokenizer that belongs to the model',
    );
  }
}

/** Throws {@link InputError} unless a number is a positive integer of at most `most`. */
export function checkCount(name: string, value: number, most = Number.MAX_SAFE_INTEGER): void {
  const wanted =
    most < Number.MAX_SAFE_INTEGER ? `a whole number from 1 to ${most}` : 'a whole number from 1';
  check(name, value, Number.isSafeInteger(value) && value >= 1 && value <= most, wanted);
}

function check(name: string, value: unknown, isGood: boolean, wanted: string): void {
  if (!isGood)
    throw new InputError(`generation option ${name}`, `${value} is not ${wanted}`, `Set it to ${wanted}`);
}
