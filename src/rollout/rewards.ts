/**
 * Rewards of sampled completions: what a reward function is given, how several are weighed and added up, and what is wrong
 * with what one returns. Knows neither a model nor a loss.
 */

import { counted } from '../base/counted.ts';
import { say, setting } from '../base/sentence.ts';
import type { Message } from '../data/chat-template.ts';
import type { TokenizedSequence } from '../data/packing.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { Gpu } from '../gpu/device.ts';
import { InputError, quote } from '../io/errors.ts';
import type { Json } from '../io/json.ts';

/** A batch of completions, one entry each in all lists; a prompt stands as often as it has completions. */
export interface RewardBatch {
  prompts: readonly (string | readonly Message[])[];
  /** Text after a text, one message of the assistant after messages; without special tokens. */
  completions: readonly (string | readonly Message[])[];
  /** The tokens of each prompt. */
  promptIds: readonly (readonly number[])[];
  /** The sampled tokens, the one that ended the completion included. */
  completionIds: readonly (readonly number[])[];
  /** What the ids mean. */
  tokenizer: Tokenizer;
  /** The other columns of the prompts' rows. */
  columns: Readonly<Record<string, readonly (Json | undefined)[]>>;
  /** How each completion ended: by an end token, or by its length. */
  finished: readonly ('eos' | 'length')[];
  /** The optimizer step that the completions are for; undefined in an evaluation. */
  step: number | undefined;
  /** Logs a figure of the function's own with the step. */
  logMetric(name: string, value: number): void;
}

/**
 * A number for each completion, or null for one that it cannot rate. It may be asynchronous; its name is what it is logged
 * under (TRL's reward functions).
 */
export type BatchReward = (
  batch: RewardBatch,
) => readonly (number | null)[] | Promise<readonly (number | null)[]>;

/** A reward that is more than a function, such as a reward model. */
export interface Rater {
  readonly name: string;
  rate(batch: RewardBatch): ReturnType<BatchReward>;
  /** Goes through the rating of such completions on a device that only counts, where it needs one: a part of the plan. */
  rehearse?(gpu: Gpu, sequences: readonly TokenizedSequence[]): void;
  /** What a person should know where it rates completions of a policy with this tokenizer. */
  noticeFor?(tokenizer: Tokenizer): string | undefined;
}

/** What completions are rated by. */
export type Reward = BatchReward | Rater;

export interface WeighedReward {
  name: string;
  reward: BatchReward;
  weight: number;
  rehearse?: Rater['rehearse'];
}

export interface Rated {
  /** The weighed sum of each completion; null where no function rated it. */
  rewards: (number | null)[];
  /** What each function gave, by its name. */
  byFunction: ReadonlyMap<string, readonly (number | null)[]>;
  /** What the functions logged. */
  metrics: Record<string, number>;
}

export interface RatingOptions {
  /** Seconds that a function may take for a batch. */
  timeout: number;
  signal?: AbortSignal | undefined;
}

/** Functions with their names and weights. Throws {@link InputError} for none, for one name twice, and for weights that do not fit. */
export function weighedRewards(
  functions: readonly Reward[],
  weights: readonly number[] | null = null,
): WeighedReward[] {
  if (functions.length === 0) throw new InputError('rewards', 'there are none', 'Give at least one function');
  if (weights && (weights.length !== functions.length || !weights.every(Number.isFinite))) {
    const what = say`${setting('rewardWeights')} has ${weights.length} entries for ${functions.length} functions`;
    throw new InputError('settings', what, 'Give a number for each');
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
  throw new InputError('rewards', `two functions are called ${quote(twice)}`, 'Give each a name of its own');
}

/**
 * Rates a batch by all functions at once. Throws {@link InputError} that names the function, and the completion where it is
 * one: for a function that throws or takes too long, a wrong count, and what is neither a finite number nor null.
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
      const value = values[i] as number | null;
      return value === null ? [] : [(rewards[f] as WeighedReward).weight * value];
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
      reject(new InputError(where, `has not answered within ${timeout} s`, wayOut));
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
    throw new InputError(where, what, 'Mend the function', { cause });
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
    throw new InputError(
      where,
      `returned ${quote(values)}`,
      'Return a list with a number for each completion',
    );
  }
  const list = values as ArrayLike<unknown>;
  if (list.length !== count) {
    const what = `returned ${counted(list.length, 'value')} for ${counted(count, 'completion')}`;
    throw new InputError(where, what, 'Return one for each, or null where there is none');
  }
  for (let i = 0; i < count; i++) {
    const value = list[i];
    if (value === null || (typeof value === 'number' && Number.isFinite(value))) continue;
    const what = `returned ${quote(value)} for completion ${i + 1}`;
    throw new InputError(where, what, 'Return a finite number, or null for a completion that it cannot rate');
  }
}

/** What the rewards have to say beside a policy with this tokenizer, a line each. */
export function rewardNotices(rewards: readonly Reward[], tokenizer: Tokenizer): string[] {
  return rewards.flatMap((reward) =>
    typeof reward === 'function' ? [] : (reward.noticeFor?.(tokenizer) ?? []),
  );
}

/** The text of a completion, whichever form it has. */
export function textOfCompletion(completion: string | readonly Message[]): string {
  return typeof completion === 'string' ? completion : completion.map(({ content }) => content).join('\n');
}
