/**
 * What sampled completions earn: rewards, log-probabilities under the policy and the reference, and their difference as a
 * penalty. With β in the reward the return is r − β log π/π_ref of the whole completion, whose expectation is objective (1).
 */
import { own } from '../base/lookup.ts';
import { say, setting } from '../base/sentence.ts';
import { InputError } from '../io/errors.ts';
import type { Metrics } from '../train/events.ts';
import type { StepContext } from '../train/step.ts';
import { standardDeviation } from './advantages.ts';
import { type Rated, rate, type WeighedReward } from './rewards.ts';
import { policyLogprobs, referenceLogprobs, type Samples } from './sampling.ts';

export interface EarningSettings {
  beta: number;
  temperature: number;
  /** From, to: rewards are clipped to it before the penalty; null leaves them. */
  rewardClipRange: readonly number[] | null;
  rewardTimeout: number;
  /** Undefined in an evaluation. */
  step: number | undefined;
  signal: AbortSignal | undefined;
}

export interface Earned extends Rated {
  /** Per completion, r − β K1; null where nothing rated it. */
  returns: (number | null)[];
  /** Σ log π − log π_ref of each completion; 0 where β is 0. */
  logRatios: number[];
  /** log π of each token under the policy that sampled. */
  oldLogprobs: Float32Array[];
  seconds: { rewarding: number; scoring: number };
}

/** Groups that a reference scores at a time. */
const REFERENCE_GROUPS = 4;

/** Rates and scores samples. Throws as {@link rate} does. */
export async function earnings(
  { model, reference }: Pick<StepContext, 'model' | 'reference'>,
  { prompts, examples, completions, finished, tokenizer }: Samples,
  rewards: readonly WeighedReward[],
  settings: EarningSettings,
): Promise<Earned> {
  const { beta, temperature, rewardClipRange, rewardTimeout, step, signal } = settings;
  const copies = completions.length / Math.max(1, prompts.length);
  const rows = completions.map((_, i) => prompts[Math.floor(i / copies)]?.row);
  const names = new Set(rows.flatMap((row) => Object.keys(row?.columns ?? {})));
  const columns = [...names].map((name) => [name, rows.map((row) => own(row?.columns ?? {}, name))]);
  const start = performance.now();
  const rated = await rate(
    rewards,
    {
      prompts: rows.map((row) => row?.prompt ?? ''),
      completions,
      promptIds: examples.flatMap(({ prompt, completions }) => completions.map(() => prompt)),
      completionIds: examples.flatMap((example) => example.completions),
      tokenizer,
      columns: Object.fromEntries(columns),
      finished,
      step,
    },
    { timeout: rewardTimeout, signal },
  );
  const middle = performance.now();
  const oldLogprobs = await policyLogprobs(model, examples, temperature);
  if (beta > 0 && !reference) throw new Error('a KL penalty needs a reference');
  const referenced =
    beta > 0 && reference
      ? await referenceLogprobs(model, reference, examples, { batchSize: REFERENCE_GROUPS, temperature })
      : undefined;
  const logRatios = oldLogprobs.map((own, i) =>
    referenced
      ? own.reduce((sum, value, t) => sum + value - ((referenced[i] as Float32Array)[t] as number), 0)
      : 0,
  );
  const returns = rated.rewards.map((reward, i) =>
    reward === null ? null : clipped(reward, rewardClipRange) - beta * (logRatios[i] as number),
  );
  const end = performance.now();
  const seconds = { rewarding: (middle - start) / 1000, scoring: (end - middle) / 1000 };
  return { ...rated, returns, logRatios, oldLogprobs, seconds };
}

function clipped(reward: number, range: readonly number[] | null): number {
  if (!range) return reward;
  const [from, upTo] = range;
  if (range.length !== 2 || !((from as number) <= (upTo as number)))
    throw new InputError(
      'settings',
      say`${setting('rewardClipRange')} is ${range.join(', ')}`,
      'Give two numbers, the smaller one first',
    );
  return Math.min(upTo as number, Math.max(from as number, reward));
}

/** Figures of a batch of samples, under TRL's names where it has them; `kl/sequence` and `objective` are ours. */
export function rolloutMetrics(
  { examples, finished }: Samples,
  { rewards, returns, byFunction, logRatios, metrics }: Earned,
  numGenerations: number,
): Metrics {
  const lengths = examples.flatMap(({ completions }) => completions.map(({ length }) => length));
  const ended = lengths.filter((_, i) => finished[i] === 'eos');
  const tokens = sum(lengths);
  const total = numbers(rewards);
  const functions = [...byFunction].flatMap(([name, values]): [string, number][] => [
    [`rewards/${name}/mean`, mean(numbers(values))],
    [`rewards/${name}/std`, standardDeviation(numbers(values))],
  ]);
  const all: Metrics = {
    ...spread('completions', '', lengths),
    ...spread('completions', '_terminated', ended),
    'completions/clipped_ratio': 1 - ended.length / Math.max(1, lengths.length),
    ...Object.fromEntries(functions),
    reward: mean(total),
    reward_std: standardDeviation(total),
    frac_reward_zero_std: shareWithoutSpread(rewards, numGenerations),
    kl: sum(logRatios) / Math.max(1, tokens),
    'kl/sequence': mean(logRatios),
    objective: mean(numbers(returns)),
    ...metrics,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => Number.isFinite(value)));
}

function spread(prefix: string, kind: string, lengths: readonly number[]): Metrics {
  return {
    [`${prefix}/mean${kind}_length`]: mean(lengths),
    [`${prefix}/min${kind}_length`]: Math.min(...lengths),
    [`${prefix}/max${kind}_length`]: Math.max(...lengths),
  };
}

/** The share of groups whose rewards are all the same, from which nothing but the penalty is learned. */
function shareWithoutSpread(rewards: readonly (number | null)[], numGenerations: number): number {
  const groups = Math.ceil(rewards.length / numGenerations);
  let same = 0;
  for (let g = 0; g < groups; g++) {
    const group = numbers(rewards.slice(g * numGenerations, (g + 1) * numGenerations));
    if (new Set(group).size <= 1) same++;
  }
  return same / Math.max(1, groups);
}

const numbers = (values: readonly (number | null)[]) => values.filter((value) => value !== null);
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;
