/**
 * Evaluation of an on-policy run: samples completions of held-out prompts from the policy at temperature 1, and measures
 * their rewards, the KL to the reference, and the gap to the best policy at this β (the certificate).
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
  /** Completions per prompt. */
  numGenerationsEval: number;
  maxCompletionLength: number;
  rewardTimeout: number;
  seed: number;
}

/** Minimum number of completions per prompt for a certificate: with fewer it would be biased far down. */
const LEAST_FOR_GAP = 64;
/** Offset of the seed: held-out prompts must use other random numbers than training. */
const EVALUATION_SEED = 2 ** 31;
/** Likewise for the reference's completions. */
const REFERENCE_SEED = 2 ** 33;

/** Settings of a certificate; `betaName` is the trainer's name for β. */
export interface CertifiedSettings extends Pick<RewardEvaluationSettings, 'beta' | 'numGenerationsEval'> {
  betaName?: string;
}

/** Why there will be no certificate despite enough completions; undefined if there will be one, or too few completions. */
export function certificateNotice(
  { beta, betaName = 'beta', numGenerationsEval }: CertifiedSettings,
  heldOut: number,
): string | undefined {
  if (beta > 0 || heldOut === 0 || numGenerationsEval < LEAST_FOR_GAP) return undefined;
  return (
    `${betaName} is 0: objective (1) then has no optimum, so no optimality_gap is computed for the ${numGenerationsEval} completions of ` +
    `each held-out prompt. Use a ${betaName} above 0, or lower numGenerationsEval to save time.`
  );
}

export class RewardEvaluation implements Evaluation {
  readonly length: number;
  readonly identity: unknown;
  /** Samples are scored by the reference when they are generated, not in advance. */
  readonly examples = [];
  /** Rewards of the reference's completions, by prompt; computed once, because the reference does not change. */
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

  /** Only samples are scored, which the source's plan covers. */
  largest(): [] {
    return [];
  }

  /** Rehearses generation for the held-out prompts, and scoring. */
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

  // biome-ignore lint/correctness/useYield: it has no events
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

  /** The completions of all prompts by the current model; undefined if aborted. */
  private async sample(seedOffset: number, signal: AbortSignal | undefined): Promise<Samples | undefined> {
    const { model, tokenizer, heldOut } = this;
    return resultOf(sampleCompletions(model, tokenizer, heldOut, this.drawing(seedOffset), signal));
  }

  /**
   * Rewards of the reference's own completions. Undefined if it cannot generate, if a reward rates too few of them, or if
   * aborted.
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

  /** The valid values of each prompt. */
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
 * Lower bounds of β log Z from two estimates, with the policy's samples and with the reference's, and the policy's gap to
 * it by its own samples. Each is given plain and with jackknife correction.
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
