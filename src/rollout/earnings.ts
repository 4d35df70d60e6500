/**
 * What sampled completions earn: rewards, log-probabilities under the policy and the reference, and their difference as a
 * penalty. With β in the reward the return is r − β log π/π_ref of the whole completion, whose expectation is objective (1).
 */
import { mean, sum } from '../base/mean.ts';
import { say, setting } from '../base/sentence.ts';
import { packExamples, type TokenizedExample } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import { InputError } from '../io/errors.ts';
import { DeviceBatch } from '../model/batch.ts';
import { estimateMean } from '../theory/estimators.ts';
import type { Metrics } from '../train/events.ts';
import { rehearseScores } from '../train/measures/sequence-logprobs.ts';
import { largestBatch } from '../train/source.ts';
import type { StepContext } from '../train/step.ts';
import { standardDeviation } from './advantages.ts';
import { rewardBatch } from './reward-batch.ts';
import { type Rated, rate, type WeighedReward } from './rewards.ts';
import { policyLogprobs, policyScores, referenceLogprobs, type Samples, sequencesOf } from './sampling.ts';

/** What is scored. */
export interface ScoreSettings {
  beta: number;
  temperature: number;
  /** Whether log-probabilities of the policy are wanted where no penalty needs them. */
  scoresPolicy?: boolean;
  /** Whether entropies are wanted. */
  scoresEntropies?: boolean;
}

export interface EarningSettings extends ScoreSettings {
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
  /** Σ log π − log π_ref of each completion; undefined where β is 0. */
  logRatios: number[] | undefined;
  /** log π of each token under the policy that sampled; undefined where nothing needs it. */
  oldLogprobs: Float32Array[] | undefined;
  /** log π_ref of each token; undefined where β is 0. */
  referenceLogprobs: Float32Array[] | undefined;
  /** Of the distribution of each token; undefined where they are not wanted. */
  entropies: Float32Array[] | undefined;
  seconds: { rewarding: number; scoring: number };
}

/** Groups that a reference scores at a time. */
const REFERENCE_GROUPS = 4;

/** Rates samples: each completion with its prompt's columns. Throws as {@link rate} does. */
export function rateSamples(
  samples: Samples,
  rewards: readonly WeighedReward[],
  { rewardTimeout, step, signal }: Pick<EarningSettings, 'rewardTimeout' | 'step' | 'signal'>,
): Promise<Rated> {
  return rate(rewards, rewardBatch(samples, step), { timeout: rewardTimeout, signal });
}

/** Rates and scores samples. Throws as {@link rate} does. */
export async function earnings(
  { model, reference }: Pick<StepContext, 'model' | 'reference'>,
  samples: Samples,
  rewards: readonly WeighedReward[],
  settings: EarningSettings,
): Promise<Earned> {
  const { examples } = samples;
  const { beta, temperature, rewardClipRange } = settings;
  const start = performance.now();
  const rated = await rateSamples(samples, rewards, settings);
  const middle = performance.now();
  const { oldLogprobs, entropies } = await scoresOf(model, examples, settings);
  if (beta > 0 && !reference) throw new Error('a KL penalty needs a reference');
  const referenced =
    beta > 0 && reference
      ? await referenceLogprobs(model, reference, examples, { batchSize: REFERENCE_GROUPS, temperature })
      : undefined;
  const logRatios =
    referenced &&
    oldLogprobs?.map((own, i) =>
      own.reduce((sum, value, t) => sum + value - ((referenced[i] as Float32Array)[t] as number), 0),
    );
  const returns = rated.rewards.map((reward, i) =>
    reward === null ? null : clipped(reward, rewardClipRange) - beta * (logRatios?.[i] ?? 0),
  );
  const end = performance.now();
  const seconds = { rewarding: (middle - start) / 1000, scoring: (end - middle) / 1000 };
  return { ...rated, returns, logRatios, oldLogprobs, referenceLogprobs: referenced, entropies, seconds };
}

/** What {@link earnings} does on the device with completions as long as these, on one that only counts. */
export function rehearseEarnings(
  gpu: Gpu,
  { model, reference }: Pick<StepContext, 'model' | 'reference'>,
  examples: readonly TokenizedExample[],
  rewards: readonly WeighedReward[],
  { beta, temperature, scoresPolicy, scoresEntropies }: ScoreSettings,
): void {
  rehearseRewards(gpu, examples, rewards);
  if (scoresPolicy || scoresEntropies || beta > 0)
    rehearseScores(gpu, model, sequencesOf(examples), { temperature });
  if (beta === 0 || !reference) return;
  const some = largestBatch(examples, REFERENCE_GROUPS);
  const batch = new DeviceBatch(gpu, packExamples(some));
  gpu.pool.release(reference.rows(gpu, batch, some, temperature));
  batch.dispose();
}

/** The rating alone. */
export function rehearseRewards(
  gpu: Gpu,
  examples: readonly TokenizedExample[],
  rewards: readonly WeighedReward[],
): void {
  for (const { rehearse } of rewards) rehearse?.(gpu, sequencesOf(examples));
}

/** Nothing that is not asked for. */
async function scoresOf(
  model: StepContext['model'],
  examples: Samples['examples'],
  { beta, temperature, scoresPolicy = false, scoresEntropies = false }: EarningSettings,
): Promise<Pick<Earned, 'oldLogprobs' | 'entropies'>> {
  if (!scoresEntropies) {
    const isWanted = scoresPolicy || beta > 0;
    const oldLogprobs = isWanted ? await policyLogprobs(model, examples, temperature) : undefined;
    return { oldLogprobs, entropies: undefined };
  }
  const scores = await policyScores(model, examples, temperature);
  const oldLogprobs = scoresPolicy || beta > 0 ? scores.map(({ logprobs }) => logprobs) : undefined;
  return { oldLogprobs, entropies: scores.map(({ entropies }) => entropies) };
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

/**
 * Figures of a batch of samples, under TRL's names where it has them; `kl/sequence`, `objective`, and standard errors are ours.
 * Errors are the spread between prompts; of one prompt alone, that between its completions.
 */
export function rolloutMetrics(
  { examples, finished }: Pick<Samples, 'examples' | 'finished'>,
  { rewards, returns = [], byFunction, logRatios, metrics }: Rated & Partial<Earned>,
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
    'completions/count': lengths.length,
    ...spread('completions', '', lengths),
    ...spread('completions', '_terminated', ended),
    'completions/clipped_ratio': 1 - ended.length / Math.max(1, lengths.length),
    ...Object.fromEntries(functions),
    reward: mean(total),
    reward_std: standardDeviation(total),
    frac_reward_zero_std: shareWithoutSpread(rewards, numGenerations),
    ...(logRatios && { kl: sum(logRatios) / Math.max(1, tokens), 'kl/sequence': mean(logRatios) }),
    objective: mean(numbers(returns)),
    ...standardErrors(
      { reward: rewards, objective: returns, ...(logRatios && { 'kl/sequence': logRatios }) },
      numGenerations,
    ),
    ...metrics,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => Number.isFinite(value)));
}

function standardErrors(
  figures: Readonly<Record<string, readonly (number | null)[]>>,
  numGenerations: number,
): Metrics {
  const errors = Object.entries(figures).map(([name, values]): [string, number] => {
    const groups = inGroups(values, numGenerations)
      .map(numbers)
      .filter(({ length }) => length > 0);
    return [`${name}/standard_error`, estimateMean(groups).standardError];
  });
  return Object.fromEntries(errors);
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
  const groups = inGroups(rewards, numGenerations);
  const same = groups.filter((group) => new Set(numbers(group)).size <= 1);
  return same.length / Math.max(1, groups.length);
}

function inGroups<T>(values: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(values.length / size) }, (_, g) =>
    values.slice(g * size, (g + 1) * size),
  );
}

const numbers = (values: readonly (number | null)[]) => values.filter((value) => value !== null);
