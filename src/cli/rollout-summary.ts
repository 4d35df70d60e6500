/**
 * `--json` output for runs with sampled completions: their number, their rewards, the distance of the policy from the
 * optimum, and where the time went.
 */
import { own } from '../base/lookup.ts';
import type { Metrics, TrainEvent } from '../train/events.ts';
import type { Trainer } from '../train/trainer.ts';

/** A lower estimate of β log Z. */
interface OptimumSummary {
  estimate: number;
  /** By the jackknife. */
  corrected: number;
  standardErrors: { estimate?: number; corrected?: number };
  effectiveSamples: number;
}

export interface RewardEvaluationSummary {
  reward?: number;
  /** KL(π ‖ π_ref) in nats per completion. */
  kl?: number;
  objective?: number;
  optimalityGap?: number;
  /** The same corrected by the jackknife. */
  optimalityGapCorrected?: number;
  /** Whether gap and optimum are lower bounds, because there are too few effective samples. */
  lowerBound?: boolean;
  effectiveSamples?: number;
  /** β log Z from the policy's samples and from the reference's. */
  optimum?: { policy: OptimumSummary; reference?: OptimumSummary };
  standardErrors?: { reward?: number; kl?: number; objective?: number; optimalityGap?: number };
}

export interface RolloutSummary {
  completions: number;
  tokens: { written: number; trained: number };
  /** Of this process: a resumed run does not know the time spent before. */
  seconds: { writing: number; rewarding: number; training: number };
}

/** Tokens computed while it trained. */
export function trainedTokens({ tokens }: { tokens: number | RolloutSummary['tokens'] }): number {
  return typeof tokens === 'number' ? tokens : tokens.trained;
}

const ERROR = '/standard_error';

/** The reward metrics of `eval`; those that were not measured are left out. */
export function rewardEvaluation(held: Metrics): RewardEvaluationSummary {
  const of = (name: string) => own(held, `eval_${name}`);
  const defined = <T extends object>(parts: T): T | undefined =>
    Object.values(parts).some((value) => value !== undefined) ? parts : undefined;
  const lowerBound = of('optimality_gap/lower_bound');
  const policy = optimum(held, 'optimum', 'effective_samples');
  const reference = optimum(held, 'optimum/reference', 'effective_samples/reference');
  const standardErrors = defined({
    reward: of(`reward${ERROR}`),
    kl: of(`kl/sequence${ERROR}`),
    objective: of(`objective${ERROR}`),
    optimalityGap: of(`optimality_gap${ERROR}`),
  });
  return {
    reward: of('reward'),
    kl: of('kl/sequence'),
    objective: of('objective'),
    optimalityGap: of('optimality_gap'),
    optimalityGapCorrected: of('optimality_gap/jackknife'),
    lowerBound: lowerBound === undefined ? undefined : lowerBound === 1,
    effectiveSamples: of('effective_samples'),
    optimum: policy && { policy, ...(reference && { reference }) },
    standardErrors,
  };
}

function optimum(held: Metrics, name: string, effective: string): OptimumSummary | undefined {
  const of = (key: string) => own(held, `eval_${key}`);
  const [estimate, corrected, effectiveSamples] = [of(name), of(`${name}/jackknife`), of(effective)];
  if (estimate === undefined || corrected === undefined || effectiveSamples === undefined) return undefined;
  const standardErrors = {
    estimate: of(`${name}${ERROR}`),
    corrected: of(`${name}/jackknife${ERROR}`),
  };
  return { estimate, corrected, standardErrors, effectiveSamples };
}

/** Adds up the time between a run's events. */
export class RolloutClock {
  private readonly seconds = { writing: 0, rewarding: 0, training: 0 };
  private last = performance.now();
  private isRollout = false;

  see(event: TrainEvent): void {
    const now = performance.now();
    const passed = (now - this.last) / 1000;
    this.last = now;
    if (event.type === 'step') this.seconds.training += passed;
    if (event.type !== 'rollout') return;
    this.isRollout = true;
    const { writing, rewarding, scoring } = event.seconds;
    this.seconds.writing += writing;
    this.seconds.rewarding += rewarding;
    this.seconds.training += scoring;
  }

  /** The time between the last event and now does not belong to the run. */
  goOn(): void {
    this.last = performance.now();
  }

  /** Undefined for a run without rollouts. */
  summary({ logHistory, config }: Trainer, trained: number): RolloutSummary | undefined {
    if (!this.isRollout) return undefined;
    // Several steps may use the same batch of completions, and all of them log it.
    const serves = stepsPerRollout(config as RolloutSteps);
    const batches = logHistory.filter((entry) => entry.type === 'step' && (entry.step - 1) % serves === 0);
    const sum = (of: (metrics: Metrics) => number) =>
      batches.reduce((total, { metrics }) => total + of(metrics), 0);
    const count = (metrics: Metrics) => metrics['completions/count'] ?? 0;
    const written = sum((metrics) => count(metrics) * (metrics['completions/mean_length'] ?? 0));
    return {
      completions: sum(count),
      tokens: { written: Math.round(written), trained },
      seconds: { ...this.seconds },
    };
  }
}

interface RolloutSteps {
  gradientAccumulationSteps?: number;
  stepsPerGeneration?: number | null;
  numIterations?: number;
}

function stepsPerRollout({
  gradientAccumulationSteps = 1,
  stepsPerGeneration,
  numIterations = 1,
}: RolloutSteps): number {
  return ((stepsPerGeneration ?? gradientAccumulationSteps) / gradientAccumulationSteps) * numIterations;
}
