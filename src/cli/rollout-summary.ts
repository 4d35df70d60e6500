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
  private written = 0;
  /** Of the steps behind the first, before which a resumed run does not know what had been counted. */
  private readonly learned = { tokens: 0, seconds: 0, counted: Number.NaN };

  see(event: TrainEvent): void {
    const now = performance.now();
    const passed = (now - this.last) / 1000;
    this.last = now;
    if (event.type === 'step') this.learn(event.metrics, passed);
    if (event.type !== 'rollout') return;
    this.isRollout = true;
    this.written += writtenIn(event.metrics);
    const { writing, rewarding, scoring } = event.seconds;
    this.seconds.writing += writing;
    this.seconds.rewarding += rewarding;
    this.seconds.training += scoring;
  }

  private learn({ num_tokens: counted = Number.NaN }: Metrics, passed: number): void {
    const { learned } = this;
    this.seconds.training += passed;
    if (Number.isFinite(counted - learned.counted)) {
      learned.tokens += counted - learned.counted;
      learned.seconds += passed;
    }
    learned.counted = counted;
  }

  /** Tokens per second, generated and trained; undefined for a run without rollouts, or before the first measurement. */
  speeds(): { writing: number; training: number } | undefined {
    const { learned, written, seconds } = this;
    if (!this.isRollout || !(learned.seconds > 0) || !(seconds.writing > 0)) return undefined;
    return { writing: written / seconds.writing, training: learned.tokens / learned.seconds };
  }

  /** Excludes the time between the last event and now, which does not belong to the run. */
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
    return {
      completions: sum(({ 'completions/count': count = 0 }) => count),
      tokens: { written: Math.round(sum(writtenIn)), trained },
      seconds: { ...this.seconds },
    };
  }
}

/** Tokens of a batch of completions. */
function writtenIn({
  'completions/count': count = 0,
  'completions/mean_length': length = 0,
}: Metrics): number {
  return count * length;
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
