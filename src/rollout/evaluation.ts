/**
 * How an on-policy run is judged: completions on prompts held out, sampled from the whole policy at temperature 1, what they
 * earn, how far the policy has moved, and how far it is from the best policy at this β (the certificate).
 */
import { resultOf } from '../base/result-of.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { type Rehearsal, rehearse } from '../gpu/rehearsal.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import type { Generation } from '../model/generation.ts';
import { planGeneration } from '../model/generation-plan.ts';
import { type Estimate, estimateGap, estimateOptimum } from '../theory/estimators.ts';
import type { Evaluation } from '../train/evaluation.ts';
import type { Metrics, TrainEvent } from '../train/events.ts';
import type { StepContext } from '../train/step.ts';
import { earnings, rateSamples, rehearseEarnings, rolloutMetrics } from './earnings.ts';
import type { WeighedReward } from './rewards.ts';
import {
  drawn,
  type Prompt,
  type Samples,
  type SamplingSettings,
  sampleCompletions,
  samplesOf,
} from './sampling.ts';

export interface RewardEvaluationSettings {
  beta: number;
  /** Completions of every prompt. */
  numGenerationsEval: number;
  maxCompletionLength: number;
  rewardTimeout: number;
  seed: number;
}

/** Completions a prompt below which no certificate is given: it would be biased far down. */
const LEAST_FOR_GAP = 64;
/** Held-out prompts must not share the random numbers of those that are trained on. */
const EVALUATION_SEED = 2 ** 31;
/** Nor the reference's completions those of the policy. */
const REFERENCE_SEED = 2 ** 33;

/** What a certificate depends on; `betaName` is what the trainer calls β. */
export interface CertifiedSettings extends Pick<RewardEvaluationSettings, 'beta' | 'numGenerationsEval'> {
  betaName?: string;
}

/** Why there will be no certificate though there are completions enough for one; undefined where that is not so. */
export function certificateNotice(
  { beta, betaName = 'beta', numGenerationsEval }: CertifiedSettings,
  heldOut: number,
): string | undefined {
  if (beta > 0 || heldOut === 0 || numGenerationsEval < LEAST_FOR_GAP) return undefined;
  return (
    `${betaName} is 0: objective (1) has no optimum then, and no optimality_gap is given for the ${numGenerationsEval} completions of ` +
    `each held-out prompt. Give a ${betaName} above 0 for it, or a lower numGenerationsEval to save the time.`
  );
}

export class RewardEvaluation implements Evaluation {
  readonly length: number;
  readonly identity: unknown;
  /** A reference scores what is sampled, when it is. */
  readonly examples = [];
  /** Of the reference's completions, prompt by prompt: the reference stays, and so do they. */
  private referenceRewards: number[][] | undefined;

  constructor(
    private readonly model: CausalLM,
    private readonly tokenizer: Tokenizer,
    private readonly heldOut: readonly Prompt[],
    private readonly rewards: readonly WeighedReward[],
    private readonly settings: RewardEvaluationSettings,
  ) {
    this.length = heldOut.length;
    this.identity = heldOut.map(({ ids, row }) => [ids, row.columns]);
  }

  get prompts(): readonly (readonly number[])[] {
    return this.heldOut.map(({ ids }) => ids);
  }

  async rate(generations: readonly Generation[], signal?: AbortSignal): Promise<readonly (number | null)[]> {
    const prompts = this.heldOut.slice(0, generations.length);
    const samples = samplesOf(prompts, generations, this.tokenizer, 1);
    const { rewardTimeout } = this.settings;
    return (await rateSamples(samples, this.rewards, { rewardTimeout, step: undefined, signal })).rewards;
  }

  /** Nothing is scored beside what is sampled, which the source's plan covers. */
  largest(): [] {
    return [];
  }

  /** Writing on the prompts that are held out, and what is scored of it. */
  rehearse(context: StepContext): readonly Rehearsal[] {
    const { model, heldOut, rewards } = this;
    const { numGenerationsEval, maxCompletionLength, beta } = this.settings;
    if (heldOut.length === 0) return [];
    const lengths = heldOut.map(({ ids }) => ids.length);
    const completions = new Array(numGenerationsEval).fill(new Array(maxCompletionLength).fill(0));
    const examples = heldOut.map(({ ids }) => ({ prompt: ids, completions }));
    return [
      planGeneration(model, lengths, drawn(this.drawing(EVALUATION_SEED))),
      rehearse(model.gpu, (counting) =>
        rehearseEarnings(counting, context, examples, rewards, { beta, temperature: 1 }),
      ),
    ];
  }

  // biome-ignore lint/correctness/useYield: it has no events of its own
  async *run(context: StepContext, signal?: AbortSignal): AsyncGenerator<TrainEvent, Metrics | undefined> {
    const { beta, numGenerationsEval, rewardTimeout } = this.settings;
    const samples = await this.sample(EVALUATION_SEED, signal);
    if (!samples) return undefined;
    const earned = await earnings(context, samples, this.rewards, {
      beta,
      temperature: 1,
      rewardClipRange: null,
      rewardTimeout,
      step: undefined,
      signal,
    });
    const metrics = rolloutMetrics(samples, earned, numGenerationsEval);
    const returns = this.byPrompt(earned.returns);
    if (beta === 0 || !isEnough(returns)) return metrics;
    const reference = await this.ofReference(context, signal);
    if (signal?.aborted) return undefined;
    return { ...metrics, ...certificate(returns, reference, beta) };
  }

  private drawing(seedOffset: number): SamplingSettings {
    const { numGenerationsEval: numGenerations, maxCompletionLength, seed } = this.settings;
    return { numGenerations, maxCompletionLength, temperature: 1, seed: seedOffset + seed };
  }

  /** The completions of all prompts by the model as it stands; undefined where the signal ended it. */
  private async sample(seedOffset: number, signal: AbortSignal | undefined): Promise<Samples | undefined> {
    const { model, tokenizer, heldOut } = this;
    return resultOf(sampleCompletions(model, tokenizer, heldOut, this.drawing(seedOffset), signal));
  }

  /**
   * Rewards of the reference's own completions. Undefined where it cannot write any, where a reward rates too few of them, and
   * where the signal ended it.
   */
  private async ofReference(
    { reference }: StepContext,
    signal: AbortSignal | undefined,
  ): Promise<number[][] | undefined> {
    if (this.referenceRewards) return this.referenceRewards;
    const samples = await reference?.standIn?.(() => this.sample(REFERENCE_SEED, signal));
    if (!samples) return undefined;
    const { rewardTimeout } = this.settings;
    const rated = await rateSamples(samples, this.rewards, { rewardTimeout, step: undefined, signal });
    const rewards = this.byPrompt(rated.rewards);
    if (!isEnough(rewards)) return undefined;
    this.referenceRewards = rewards;
    return rewards;
  }

  /** What was rated of each prompt. */
  private byPrompt(values: readonly (number | null)[]): number[][] {
    const { numGenerationsEval: copies } = this.settings;
    return this.heldOut.map((_, p) =>
      values.slice(p * copies, (p + 1) * copies).filter((value) => value !== null),
    );
  }
}

const isEnough = (groups: readonly (readonly number[])[]) =>
  groups.every(({ length }) => length >= LEAST_FOR_GAP);

/**
 * β log Z from below by two routes, the policy's samples and the reference's, and how far the policy is from it by its own.
 * Each is given plain and corrected by the jackknife.
 */
function certificate(
  returns: readonly (readonly number[])[],
  rewards: readonly (readonly number[])[] | undefined,
  beta: number,
): Metrics {
  const own = estimateGap(returns, beta);
  const other = rewards && estimateOptimum(rewards, beta);
  const scaled = ({ mean, standardError }: Estimate) => ({
    mean: beta * mean,
    standardError: beta * standardError,
  });
  return {
    ...withError('optimality_gap', own.gap),
    ...withError('optimality_gap/jackknife', own.corrected.gap),
    'optimality_gap/lower_bound': own.isLowerBound ? 1 : 0,
    ...withError('optimum', own.optimum),
    ...withError('optimum/jackknife', own.corrected.optimum),
    effective_samples: own.effectiveSamples,
    ...(other && {
      ...withError('optimum/reference', scaled(other.logPartition)),
      ...withError('optimum/reference/jackknife', scaled(other.corrected.logPartition)),
      'effective_samples/reference': other.effectiveSamples,
    }),
  };
}

function withError(name: string, { mean, standardError }: Estimate): Metrics {
  return { [name]: mean, [`${name}/standard_error`]: standardError };
}
