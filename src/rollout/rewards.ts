/**
 * Rewards of sampled completions: the input of a reward function, the weighted sum of several, and validation of their
 * results. Does not depend on a model or a loss.
 */

import { counted } from '../base/counted.ts';
import { say, setting } from '../base/sentence.ts';
import type { Message } from '../data/chat-template.ts';
import type { TokenizedSequence } from '../data/packing.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { Gpu } from '../gpu/device.ts';
import { InputError, quote } from '../io/errors.ts';
import type { Json } from '../io/json.ts';

/** A batch of completions, with one entry per completion in all lists; prompts are repeated. */
export interface RewardBatch {
  prompts: readonly (string | readonly Message[])[];
  /** Text if the prompt is text, one message of the assistant if it is messages; without special tokens. */
  completions: readonly (string | readonly Message[])[];
  /** The tokens of each prompt. */
  promptIds: readonly (readonly number[])[];
  /** The sampled tokens, including the end token. */
  completionIds: readonly (readonly number[])[];
  /** The tokenizer of the ids. */
  tokenizer: Tokenizer;
  /** The other columns of the prompts' rows. */
  columns: Readonly<Record<string, readonly (Json | undefined)[]>>;
  /** How each completion ended: by an end token, or by its length. */
  finished: readonly ('eos' | 'length')[];
  /** The optimizer step that uses the completions; undefined in an evaluation. */
  step: number | undefined;
  /** Logs an additional metric of the function with the step. */
  logMetric(name: string, value: number): void;
}

/**
 * One number per completion, or null if it cannot be rated. May be asynchronous; the function's name is its name in the log
 * (TRL's reward functions).
 */
export type BatchReward = (
  batch: RewardBatch,
) => readonly (number | null)[] | Promise<readonly (number | null)[]>;

/** A reward with more than a function, such as a reward model. */
export interface Rater {
  readonly name: string;
  rate(batch: RewardBatch): ReturnType<BatchReward>;
  /** Rehearses the rating of such completions on a counting device, if it uses the device: a part of the plan. */
  rehearse?(gpu: Gpu, sequences: readonly TokenizedSequence[]): void;
  /** A notice for the user about rating completions of a policy with this tokenizer. */
  noticeFor?(tokenizer: Tokenizer): string | undefined;
}

/** A reward for completions. */
export type Reward = BatchReward | Rater;

export interface WeighedReward {
  name: string;
  reward: BatchReward;
  weight: number;
  rehearse?: Rater['rehearse'];
}

export interface Rated {
  /** The weighted sum of each completion; null if no function rated it. */
  rewards: (number | null)[];
  /** The values of each function by name. */
  byFunction: ReadonlyMap<string, readonly (number | null)[]>;
  /** The metrics that the functions logged. */
  metrics: Record<string, number>;
}

export interface RatingOptions {
  /** Maximum seconds of a function for a batch. */
  timeout: number;
  signal?: AbortSignal | undefined;
}

/** Functions with names and weights. Throws {@link InputError} for an empty list, duplicate names, and invalid weights. */
export function weighedRewards(
  functions: readonly Reward[],
  weights: readonly number[] | null = null,
): WeighedReward[] {
  if (functions.length === 0)
    throw new InputError('rewards', 'the list is empty', 'Give at least one function');
  if (weights && (weights.length !== functions.length || !weights.every(Number.isFinite))) {
    const what = say`${setting('rewardWeights')} has ${weights.length} entries for ${functions.length} functions`;
    throw new InputError('settings', what, 'Give one number per function');
  }
  const weighed = functions.map((reward, i) => ({
    name: reward.name || `reward_${i + 1}`,
    reward: typeof reward === 'function' ? reward : (batch: RewardBatch) => reward.rate(batch),
    weight: weights?.[i] ?? 1,
    ...(typeof reward === 'object' && reward.rehearse && { rehearse: reward.rehearse.bind(reward) }),
  }));
  const names = weighed.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return weighed;
  throw new InputError('rewards', `two functions are called ${quote(twice)}`, 'Give each a different name');
}

/**
 * Rates a batch with all functions concurrently. Throws {@link InputError} with the function, and the completion if
 * applicable: for an exception or timeout, a wrong count, and a value that is neither a finite number nor null.
 */
export async function rate(
  rewards: readonly WeighedReward[],
  batch: Omit<RewardBatch, 'logMetric'>,
  options: RatingOptions,
): Promise<Rated> {
  const count = batch.completions.length;
  const metrics: Record<string, number> = {};
  const all = await Promise.all(
    rewards.map(async ({ name, reward }): Promise<[string, readonly (number | null)[]]> => {
      const logMetric = (metric: string, value: number) => {
        metrics[metric] = value;
      };
      const values = await inTime(name, async () => reward({ ...batch, logMetric }), options);
      requireValues(values, count, name);
      return [name, values];
    }),
  );
  const total = Array.from({ length: count }, (_, i) => {
    const rated = all.flatMap(([, values], f) => {
      const value = values[i];
      return value === null ? [] : [rewards[f].weight * value];
    });
    return rated.length === 0 ? null : rated.reduce((a, b) => a + b, 0);
  });
  return { rewards: total, byFunction: new Map(all), metrics };
}

async function inTime<T>(
  name: string,
  work: () => Promise<T>,
  { timeout, signal }: RatingOptions,
): Promise<T> {
  const where = `reward function ${quote(name)}`;
  const deadline = new AbortController();
  const ended = new Promise<never>((_, reject) => {
    const late = setTimeout(() => {
      const wayOut = say`Make it faster, or raise ${setting('rewardTimeout')}`;
      reject(new InputError(where, `did not return within ${timeout} s`, wayOut));
    }, timeout * 1000);
    const stop = () => reject(signal?.reason);
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop, { once: true });
    deadline.signal.addEventListener('abort', () => {
      clearTimeout(late);
      signal?.removeEventListener('abort', stop);
    });
  });
  const answer = work().catch((cause: unknown) => {
    const what = `threw ${quote(cause instanceof Error ? cause.message : String(cause))}`;
    throw new InputError(where, what, 'Fix the function', { cause });
  });
  try {
    return await Promise.race([answer, ended]);
  } finally {
    deadline.abort();
  }
}

function requireValues(values: unknown, count: number, name: string): asserts values is (number | null)[] {
  const where = `reward function ${quote(name)}`;
  if (!Array.isArray(values) && !ArrayBuffer.isView(values)) {
    throw new InputError(where, `returned ${quote(values)}`, 'Return a list with one number per completion');
  }
  const list = values as ArrayLike<unknown>;
  if (list.length !== count) {
    const what = `returned ${counted(list.length, 'value')} for ${counted(count, 'completion')}`;
    throw new InputError(where, what, 'Return one per completion, or null for those that cannot be rated');
  }
  for (let i = 0; i < count; i++) {
    const value = list[i];
    if (value === null || (typeof value === 'number' && Number.isFinite(value))) continue;
    const what = `returned ${quote(value)} for completion ${i + 1}`;
    throw new InputError(where, what, 'Return a finite number, or null for a completion that it cannot rate');
  }
}

/** Notices about the rewards for a policy with this tokenizer, one line each. */
export function rewardNotices(rewards: readonly Reward[], tokenizer: Tokenizer): string[] {
  return rewards.flatMap((reward) =>
    typeof reward === 'function' ? [] : (reward.noticeFor?.(tokenizer) ?? []),
  );
}

/** The text of a completion in either form. */
export function textOfCompletion(completion: string | readonly Message[]): string {
  return typeof completion === 'string' ? completion : completion.map(({ content }) => content).join('\n');
}
