/**
 * Experience for A*-PO: the optimal value V* of every prompt is estimated once, before training, from completions of the
 * reference; then one completion of the policy is regressed on its advantage r − V*. V* is β log Z of Theorem 1.
 */

import { say, setting } from '../base/sentence.ts';
import type { ColumnSpecs, TokenizedExample } from '../data/packing.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { Gpu } from '../gpu/device.ts';
import { InputError } from '../io/errors.ts';
import { isObject, type Json } from '../io/json.ts';
import { estimateOptimum } from '../theory/estimators.ts';
import type { Metrics, TrainEvent } from '../train/events.ts';
import type { StepContext } from '../train/step.ts';
import { rateSamples, rehearseRewards, rolloutMetrics } from './earnings.ts';
import type { Experience, ExperienceMaker, MakeOptions } from './experience.ts';
import type { WeighedReward } from './rewards.ts';
import { type Prompt, type Samples, writeCompletions } from './sampling.ts';

export interface RegressionSettings {
  beta1: number;
  beta2: number;
  numValueSamples: number;
  filterAllIncorrect: boolean;
  maxCompletionLength: number;
  temperature: number;
  rewardTimeout: number;
  seed: number;
  /** Number of prompts whose values are estimated at a time. */
  promptsAtATime: number;
}

/** Offset of the seed: the reference's completions must use other random numbers than the policy's and the held-out ones. */
const VALUE_SEED = 2 ** 30;

type Rewards = readonly (number | null)[];

/** V* of a prompt from rewards of the reference's completions, β log mean e^(r/β); undefined if none is rated. */
export function optimalValue(rewards: Rewards, beta: number): number | undefined {
  const rated = rewards.filter((reward) => reward !== null);
  if (rated.length === 0) return undefined;
  return beta * estimateOptimum([rated], beta).logPartition.mean;
}

/** The optimal values of the prompts to learn from; prompts with nothing to learn are omitted. */
export function learnable(
  rewards: readonly Rewards[],
  { filterAllIncorrect }: { filterAllIncorrect: boolean },
): boolean[] {
  const isBinary = rewards.flat().every((reward) => reward === null || reward === 0 || reward === 1);
  const drops = filterAllIncorrect && isBinary;
  return rewards.map((group) => {
    const rated = group.filter((reward) => reward !== null);
    return rated.length > 0 && !(drops && rated.every((reward) => reward === 0));
  });
}

export class AdvantageRegression implements ExperienceMaker {
  readonly completions = 1;
  /** The loss uses it. */
  readonly usesReference = false;
  readonly identity: unknown;
  readonly drawnAhead: number;
  /** Rewards of the reference's completions, for the prompts processed so far. */
  private known: Rewards[] = [];
  /** The prompts to learn from, with V*, after all are known. */
  private values: ReadonlyMap<Prompt, number> | undefined;

  constructor(
    readonly reads: ColumnSpecs,
    private readonly tokenizer: Tokenizer,
    private readonly rewards: readonly WeighedReward[],
    private readonly settings: RegressionSettings,
  ) {
    this.identity = rewards.map(({ name, weight }) => [name, weight]);
    this.drawnAhead = settings.numValueSamples;
  }

  async *prepare(
    prompts: readonly Prompt[],
    { model }: StepContext,
    options: MakeOptions,
  ): AsyncGenerator<TrainEvent, readonly Prompt[] | undefined> {
    if (this.values) return [...this.values.keys()];
    const { numValueSamples: numGenerations, promptsAtATime, seed, ...settings } = this.settings;
    if (this.known.length < prompts.length && options.step > 1)
      throw new InputError('checkpoint', 'has no optimal values of this run', 'Start again');
    while (this.known.length < prompts.length) {
      const start = this.known.length;
      const some = prompts.slice(start, start + promptsAtATime);
      // Before the first step, the policy is the reference.
      const drawing = { ...settings, numGenerations, seed: VALUE_SEED + seed + start };
      const samples = yield* writeCompletions(model, this.tokenizer, some, drawing, options);
      if (!samples) return undefined;
      try {
        const { rewards } = await rateSamples(samples, this.rewards, { ...this.settings, ...options });
        this.known.push(...some.map((_, p) => rewards.slice(p * numGenerations, (p + 1) * numGenerations)));
      } catch (error) {
        if (options.signal?.aborted) return undefined;
        throw error;
      }
      await options.keep();
    }
    this.values = this.optimalValues(prompts);
    return [...this.values.keys()];
  }

  rehearse(gpu: Gpu, examples: readonly TokenizedExample[]): void {
    rehearseRewards(gpu, examples, this.rewards);
  }

  async make(samples: Samples, _context: StepContext, options: MakeOptions): Promise<Experience> {
    const start = performance.now();
    const rated = await rateSamples(samples, this.rewards, { ...this.settings, ...options });
    const values = samples.prompts.map((prompt) => this.values!.get(prompt)!);
    const advantages = rated.rewards.map((reward, p) => (reward === null ? 0 : reward - values[p]));
    const { frac_reward_zero_std: _, ...metrics } = rolloutMetrics(samples, rated, 1);
    return {
      examples: samples.examples.map((example, p) => ({
        ...example,
        columns: { advantage: [advantages[p]] },
      })),
      silent: rated.rewards.map((reward) => reward === null),
      metrics: {
        ...metrics,
        v_star: values.reduce((sum, value) => sum + value, 0) / values.length,
        prompts_left_out: this.known.length - (this.values?.size ?? 0),
      },
      rewards: rated.rewards,
      advantages,
      seconds: { rewarding: (performance.now() - start) / 1000, scoring: 0 },
    };
  }

  /** J, if the completions are samples of the policy itself; at another temperature their log-ratio is not a KL. */
  derive({ 'kl/sequence': logRatio }: Metrics, { reward }: Metrics): Partial<Metrics> {
    const { beta2, temperature } = this.settings;
    if (logRatio === undefined) return {};
    if (temperature !== 1) return { 'kl/sequence': undefined, log_ratio: logRatio };
    return reward === undefined ? {} : { objective: reward - beta2 * logRatio };
  }

  save(): Json | undefined {
    return this.known.length > 0 ? ({ rewards: this.known } as unknown as Json) : undefined;
  }

  /** The hash detects corruption, not tampering, so the numbers are validated too. */
  restore(saved: Json): void {
    const rewards = isObject(saved) ? saved.rewards : undefined;
    const { numValueSamples } = this.settings;
    const isReward = (reward: unknown) => reward === null || Number.isFinite(reward);
    const isGroup = (group: unknown) =>
      Array.isArray(group) && group.length === numValueSamples && group.every(isReward);
    if (!Array.isArray(rewards) || !rewards.every(isGroup))
      throw new InputError('checkpoint', 'has no optimal values of this run', 'Start again');
    this.known = rewards as unknown as Rewards[];
  }

  private optimalValues(prompts: readonly Prompt[]): ReadonlyMap<Prompt, number> {
    const learns = learnable(this.known, this.settings);
    const kept = prompts.flatMap((prompt, p): [Prompt, number][] => {
      const value = optimalValue(this.known[p], this.settings.beta1);
      return learns[p] && value !== undefined ? [[prompt, value]] : [];
    });
    if (kept.length > 0) return new Map(kept);
    const what = `leave no prompt to learn from: none of the reference's completions has one above 0`;
    const wayOut = say`Switch ${setting('filterAllIncorrect')} off, raise ${setting('numValueSamples')}, or use another reward`;
    throw new InputError('rewards', what, wayOut);
  }
}
