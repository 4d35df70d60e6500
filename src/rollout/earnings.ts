/**
 * Computes rewards of sampled completions, their log-probabilities under the policy and the reference, and the KL penalty.
 * With β in the reward the return is r − β log π/π_ref of the whole completion, whose expectation is objective (1).
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

/** What to score. */
export interface ScoreSettings {
  beta: number;
  temperature: number;
  /** Whether log-probabilities of the policy are needed even without a penalty. */
  scoresPolicy?: boolean;
  /** Whether entropies are needed. */
  scoresEntropies?: boolean;
}

export interface EarningSettings extends ScoreSettings {
  /** [min, max]: rewards are clipped to it before the penalty; null disables clipping. */
  rewardClipRange: readonly number[] | null;
  rewardTimeout: number;
  /** Undefined in an evaluation. */
  step: number | undefined;
  signal: AbortSignal | undefined;
}

export interface Earned extends Rated {
  /** Per completion, r − β K1; null if it is unrated. */
  returns: (number | null)[];
  /** Σ log π − log π_ref of each completion; undefined if β is 0. */
  logRatios: number[] | undefined;
  /** log π of each token under the sampling policy; undefined if not needed. */
  oldLogprobs: Float32Array[] | undefined;
  /** log π_ref of each token; undefined if β is 0. */
  referenceLogprobs: Float32Array[] | undefined;
  /** Entropy of each token's distribution; undefined if not needed. */
  entropies: Float32Array[] | undefined;
  seconds: { rewarding: number; scoring: number };
}

/** Number of groups that a reference scores at a time. */
const REFERENCE_GROUPS = 4;

/** Rates samples: each completion with its prompt's columns. Throws like {@link rate}. */
export function rateSamples(
  samples: Samples,
  rewards: readonly WeighedReward[],
  { rewardTimeout, step, signal }: Pick<EarningSettings, 'rewardTimeout' | 'step' | 'signal'>,
): Promise<Rated> {
  return rate(rewards, rewardBatch(samples, step), { timeout: rewardTimeout, signal });
}

/** Rates and scores samples. Throws like {@link rate}. */
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
    oldLogprobs?.map((own, i) => own.reduce((sum, value, t) => sum + value - referenced[i][t], 0));
  const returns = rated.rewards.map((reward, i) =>
    reward === null ? null : clipped(reward, rewardClipRange) - beta * (logRatios?.[i] ?? 0),
  );
  const end = performance.now();
  const seconds = { rewarding: (middle - start) / 1000, scoring: (end - middle) / 1000 };
  return { ...rated, returns, logRatios, oldLogprobs, referenceLogprobs: referenced, entropies, seconds };
}

/** Rehearses the device work of {@link earnings} for completions of these lengths, on a counting device. */
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

/** Rehearses only the rewards. */
export function rehearseRewards(
  gpu: Gpu,
  examples: readonly TokenizedExample[],
  rewards: readonly WeighedReward[],
): void {
  for (const { rehearse } of rewards) rehearse?.(gpu, sequencesOf(examples));
}

/** Computes only the requested scores. */
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
  if (range.length !== 2 || !(from <= upTo))
    throw new InputError(
      'settings',
      say`${setting('rewardClipRange')} is ${range.join(', ')}`,
      'Give two numbers, the smaller one first',
    );
  return Math.min(upTo, Math.max(from, reward));
}

/**
 * Metrics of a batch of samples, under TRL's names where they exist; `kl/sequence`, `objective`, and standard errors are
 * additions. Errors are computed from the spread between prompts; for a single prompt, between its completions.
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

/** The fraction of groups with equal rewards, which only learn from the penalty. */
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
