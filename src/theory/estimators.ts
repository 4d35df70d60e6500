/**
 * Monte Carlo estimates of the quantities of Theorem 1 from log-probabilities and rewards of sampled answers, each with its
 * standard error. Pure TypeScript in float64: the caller provides the samples. Uses no random numbers: errors come
 * from sample variances, the delta method and the jackknife.
 */
import { own } from '../base/lookup.ts';
import { type Figures, jackknife, weighted } from './self-normalized.ts';

/** Numbers, by position. */
type Reals = ArrayLike<number>;

export interface Estimate {
  mean: number;
  /** Of the mean; NaN if there are too few samples. */
  standardError: number;
}

/**
 * Schulman's estimators of KL(π ‖ π_ref) for a sample of π, with ℓ = log π_ref − log π: k1 = −ℓ is unbiased; k2 = ℓ²/2 is
 * biased, with less variance; k3 = e^ℓ − 1 − ℓ is never negative, and unbiased if π covers the support of π_ref.
 */
export const KL_ESTIMATORS = {
  k1: (logRatio: number) => -logRatio,
  k2: (logRatio: number) => logRatio ** 2 / 2,
  k3: (logRatio: number) => Math.expm1(logRatio) - logRatio,
} as const;

export type KlEstimator = keyof typeof KL_ESTIMATORS;

/** KL(π ‖ π_ref) in nats from the log-probabilities of samples of π under both. */
export function estimateKl(policy: Reals, reference: Reals, estimator: KlEstimator = 'k1'): Estimate {
  return sampleMean(klTerms('estimateKl', policy, reference, estimator));
}

export interface ObjectiveSamples {
  /** Reward of each sample of π. */
  rewards: Reals;
  /** Its log-probability under π, summed over its tokens. */
  policy: Reals;
  /** And under π_ref. */
  reference: Reals;
  beta: number;
  /** The estimator of the divergence, k1 by default. */
  estimator?: KlEstimator;
}

/** J(π) = E_π[r] − β KL(π ‖ π_ref) and its parts. The error of J includes the covariance of reward and KL. */
export function estimateObjective(samples: ObjectiveSamples): {
  objective: Estimate;
  reward: Estimate;
  kl: Estimate;
} {
  const { rewards, policy, reference, beta, estimator = 'k1' } = samples;
  const terms = klTerms('estimateObjective', policy, reference, estimator);
  requireSamples('estimateObjective', rewards, terms.length);
  return {
    objective: sampleMean(terms.map((term, i) => rewards[i] - beta * term)),
    reward: sampleMean(rewards),
    kl: sampleMean(terms),
  };
}

/** With fewer effective samples, an estimate of the optimum is only a lower bound. */
export const LEAST_EFFECTIVE_SAMPLES = 5;

export interface OptimumEstimate {
  /** E_{π*}[r]. */
  reward: Estimate;
  /** KL(π* ‖ π_ref) in nats. */
  kl: Estimate;
  /** log Z. Its mean is biased downwards (Jensen), by about half its variance. */
  logPartition: Estimate;
  /** The same corrected by the jackknife within each prompt, which removes the bias of order 1/n. */
  corrected: { reward: Estimate; kl: Estimate; logPartition: Estimate };
  /** (Σ w)² / Σ w², averaged over the prompts: the effective number of samples of π*. */
  effectiveSamples: number;
}

/**
 * Estimates of π*'s values without samples of π*: samples of π_ref weighted by w ∝ e^(r/β), normalized within each prompt (self-normalized
 * importance sampling). `rewards[p]` are those of prompt p's samples; prompts have equal weight.
 *
 * For one prompt, errors come from the delta method, and those of corrected values from the jackknife. For several prompts they come from the spread
 * between prompts, which includes both the prompts' own differences and the sampling within them. The estimates are only as good as
 * `effectiveSamples` is large: near 1, a single sample represents π*, and the errors are too small.
 */
export function estimateOptimum(rewards: readonly Reals[], beta: number): OptimumEstimate {
  requireBeta('estimateOptimum', beta);
  const prompts = rewards.map((group) => {
    requireSamples('estimateOptimum', group, group.length);
    return weighted(Float64Array.from(group), beta);
  });
  const plain = (part: keyof Figures) =>
    meanOfPrompts(prompts.map(({ plain, errors }) => ({ mean: plain[part], standardError: errors[part] })));
  const corrected = (part: keyof Figures) =>
    meanOfPrompts(
      prompts.map(({ corrected, correctedErrors }) => ({
        mean: corrected[part],
        standardError: correctedErrors[part],
      })),
    );
  return {
    reward: plain('reward'),
    kl: plain('kl'),
    logPartition: plain('logPartition'),
    corrected: {
      reward: corrected('reward'),
      kl: corrected('kl'),
      logPartition: corrected('logPartition'),
    },
    effectiveSamples: sampleMean(prompts.map(({ effectiveSamples }) => effectiveSamples)).mean,
  };
}

export interface GapEstimate {
  /** J* − J(π) = β KL(π ‖ π*). Biased downwards for few samples; exact if π is π*. */
  gap: Estimate;
  /** β log Z = J*, from the policy's own samples; also biased downwards. */
  optimum: Estimate;
  /** Both corrected by the jackknife within each prompt. */
  corrected: { gap: Estimate; optimum: Estimate };
  /** As in {@link OptimumEstimate}. */
  effectiveSamples: number;
  /** Whether that is below {@link LEAST_EFFECTIVE_SAMPLES}, so that gap and optimum are lower bounds. */
  isLowerBound: boolean;
}

/**
 * The distance of a policy from the optimum of objective (1), without knowing the optimum: with the returns J_i = r − β log π/π_ref
 * of samples of π and w = J_i/β, the gap is β (log E e^w − E w). `returns[p]` are those of prompt p's samples; prompts have equal
 * weight, and the logarithm is taken within each. At π* all returns of a prompt are equal, and the gap is 0 for every sample.
 */
export function estimateGap(returns: readonly Reals[], beta: number): GapEstimate {
  requireBeta('estimateGap', beta);
  const prompts = returns.map((group) => {
    requireSamples('estimateGap', group, group.length);
    return gapOfPrompt(Float64Array.from(group), beta);
  });
  const across = (of: (prompt: (typeof prompts)[number]) => Estimate) => meanOfPrompts(prompts.map(of));
  const effectiveSamples = sampleMean(prompts.map((prompt) => prompt.effectiveSamples)).mean;
  return {
    gap: across(({ gap }) => gap),
    optimum: across(({ optimum }) => optimum),
    corrected: {
      gap: across(({ corrected }) => corrected.gap),
      optimum: across(({ corrected }) => corrected.optimum),
    },
    effectiveSamples,
    isLowerBound: effectiveSamples < LEAST_EFFECTIVE_SAMPLES,
  };
}

function gapOfPrompt(returns: Float64Array, beta: number): Omit<GapEstimate, 'isLowerBound'> {
  const n = returns.length;
  const { plain, errors, corrected, correctedErrors, logPartitionWithout, effectiveSamples } = weighted(
    returns,
    beta,
  );
  const scaled = (mean: number, standardError: number) => ({
    mean: beta * mean,
    standardError: beta * standardError,
  });
  const optimum = scaled(plain.logPartition, errors.logPartition);
  const total = returns.reduce((a, b) => a + b, 0);
  const mean = total / n;
  // Influence of a sample: its influence on β log Z minus that on the mean.
  const squares = returns
    .map((value) => (beta * (Math.exp((value - optimum.mean) / beta) - 1) - (value - mean)) ** 2)
    .reduce((a, b) => a + b, 0);
  const gap = { mean: optimum.mean - mean, standardError: Math.sqrt(squares / (n * (n - 1))) };
  const without = logPartitionWithout.map(
    (logPartition, i) => beta * logPartition - (total - returns[i]) / (n - 1),
  );
  return {
    gap,
    optimum,
    corrected: {
      gap: jackknife(gap.mean, without),
      optimum: scaled(corrected.logPartition, correctedErrors.logPartition),
    },
    effectiveSamples,
  };
}

export interface BestOfN {
  /** Expected reward of the best of n samples of π_ref. */
  reward: Estimate;
  /** log n − (n − 1)/n, an upper bound of KL(best of n ‖ π_ref) (Beirami et al. 2024). */
  klBound: number;
}

/**
 * Unbiased best-of-n from m ≥ n samples per prompt: the mean of the maximum over all subsets of n, which is
 * Σ_i C(i−1, n−1)/C(m, n) r_(i) over the ordered rewards. The error for one prompt comes from the jackknife and needs m > n.
 */
export function estimateBestOfN(rewards: readonly Reals[], n: number): BestOfN {
  if (!(Number.isInteger(n) && n >= 1))
    throw new RangeError(`estimateBestOfN: n must be a positive integer, got ${n}`);
  const reward = meanOfPrompts(rewards.map((group) => bestOfSubsets(group, n)));
  return { reward, klBound: Math.log(n) - (n - 1) / n };
}

function bestOfSubsets(rewards: Reals, n: number): Estimate {
  const m = rewards.length;
  if (m < n) throw new RangeError(`estimateBestOfN: a prompt has ${m} samples, fewer than n = ${n}`);
  const ordered = Float64Array.from(rewards).sort();
  const mean = dot(maximumWeights(m, n), ordered);
  if (m === n) return { mean, standardError: Number.NaN };
  // Without sample j, those above it move down one position. Sums from both ends give all m means in one pass.
  const weights = maximumWeights(m - 1, n);
  const moved = (i: number) => (i > 0 ? weights[i - 1] * ordered[i] : 0);
  let above = ordered.reduce((sum, _, i) => sum + moved(i), 0);
  let below = 0;
  const without = ordered.map((reward, j) => {
    above -= moved(j);
    const result = below + above;
    if (j < m - 1) below += weights[j] * reward;
    return result;
  });
  return { mean, standardError: jackknife(mean, without).standardError };
}

/** C(i−1, n−1) / C(m, n) for i = 1 … m: the probability that the i-th smallest of m is the largest of n. */
function maximumWeights(m: number, n: number): Float64Array {
  const weights = new Float64Array(m);
  // The largest is in n of m subsets; each lower rank in (i − n) / (i − 1) times as many as the rank above.
  let weight = n / m;
  for (let i = m; i >= n; i--) {
    weights[i - 1] = weight;
    weight *= (i - n) / (i - 1);
  }
  return weights;
}

/** The mean over prompts of the means within them, with its error; `groups[p]` are the numbers of prompt p's samples. */
export function estimateMean(groups: readonly Reals[]): Estimate {
  return meanOfPrompts(groups.map(sampleMean));
}

function klTerms(name: string, policy: Reals, reference: Reals, estimator: KlEstimator): Float64Array {
  requireSamples(name, reference, policy.length);
  const term = own(KL_ESTIMATORS, estimator);
  if (!term) {
    const known = Object.keys(KL_ESTIMATORS).join(', ');
    throw new RangeError(`${name}: unknown estimator ${estimator}. Supported estimators: ${known}`);
  }
  return Float64Array.from(policy, (logp, i) => term(reference[i] - logp));
}

/** The mean over prompts: for one prompt its own estimate, for several with the spread between them. */
function meanOfPrompts(estimates: readonly Estimate[]): Estimate {
  const [only] = estimates;
  return only && estimates.length === 1 ? only : sampleMean(estimates.map(({ mean }) => mean));
}

function sampleMean(values: Reals): Estimate {
  const n = values.length;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += values[i];
  const mean = sum / n;
  let squares = 0;
  for (let i = 0; i < n; i++) squares += (values[i] - mean) ** 2;
  return { mean, standardError: Math.sqrt(squares / (n * (n - 1))) };
}

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, each, i) => sum + each * b[i], 0);
}

function requireBeta(name: string, beta: number): void {
  if (beta > 0) return;
  throw new RangeError(
    `${name}: beta is ${beta}, but must be above 0: without a penalty objective (1) has no optimum of this form`,
  );
}

function requireSamples(name: string, values: Reals, count: number): void {
  if (values.length !== count || count === 0) {
    throw new RangeError(
      `${name}: expected one value per sample and at least one sample, got ${values.length} values for ${count} samples`,
    );
  }
}
