/**
 * How an on-policy run is judged: completions on prompts held out, sampled from the whole policy at temperature 1, what they
 * earn, how far the policy has moved, and how far it is from the best policy at this β (the certificate).
 */
import type { Tokenizer } from '../data/tokenizer.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import { estimateGap } from '../theory/estimators.ts';
import type { Evaluation } from '../train/evaluation.ts';
import type { Metrics, TrainEvent } from '../train/events.ts';
import type { StepContext } from '../train/step.ts';
import { earnings, rolloutMetrics } from './earnings.ts';
import type { WeighedReward } from './rewards.ts';
import { type Prompt, type Samples, sampleCompletions } from './sampling.ts';

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

export class RewardEvaluation implements Evaluation {
  readonly length: number;
  readonly identity: unknown;
  /** A reference scores what is sampled, when it is. */
  readonly examples = [];

  constructor(
    private readonly model: CausalLM,
    private readonly tokenizer: Tokenizer,
    private readonly prompts: readonly Prompt[],
    private readonly rewards: readonly WeighedReward[],
    private readonly settings: RewardEvaluationSettings,
  ) {
    this.length = prompts.length;
    this.identity = { prompts: prompts.map(({ ids, row }) => [ids, row.columns]), settings };
  }

  /** Nothing is scored beside what is sampled, which the source's plan covers. */
  largest(): [] {
    return [];
  }

  async *run(context: StepContext, signal?: AbortSignal): AsyncGenerator<TrainEvent, Metrics | undefined> {
    const {
      beta,
      numGenerationsEval: numGenerations,
      maxCompletionLength,
      rewardTimeout,
      seed,
    } = this.settings;
    const { model, tokenizer, prompts, rewards } = this;
    const settings = { numGenerations, maxCompletionLength, temperature: 1, seed: EVALUATION_SEED + seed };
    const writing = sampleCompletions(model, tokenizer, prompts, settings, signal);
    let samples: Samples | undefined;
    for (;;) {
      const { done, value } = await writing.next();
      if (!done) continue;
      samples = value;
      break;
    }
    if (!samples) return undefined;
    const earned = await earnings(context, samples, rewards, {
      beta,
      temperature: 1,
      rewardClipRange: null,
      rewardTimeout,
      step: undefined,
      signal,
    });
    const metrics = rolloutMetrics(samples, earned, numGenerations);
    const groups = prompts.map((_, p) =>
      earned.returns.slice(p * numGenerations, (p + 1) * numGenerations).filter((value) => value !== null),
    );
    if (beta === 0 || numGenerations < LEAST_FOR_GAP || groups.some(({ length }) => length < LEAST_FOR_GAP))
      return metrics;
    const { gap, optimum, effectiveSamples } = estimateGap(groups, beta);
    return {
      ...metrics,
      optimality_gap: gap.mean,
      'optimality_gap/standard_error': gap.standardError,
      optimum: optimum.mean,
      effective_samples: effectiveSamples,
    };
  }
}
