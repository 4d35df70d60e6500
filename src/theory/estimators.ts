/**
 * Monte-Carlo estimates of the quantities of Theorem 1 from log-probabilities and rewards of sampled answers, each with its
 * standard error. Pure TypeScript in float64: samples, models and GPUs are the caller's. Draws no random numbers: errors come
 * from sample variances, the delta method and the jackknife.
 */
import { own } from '../base/lookup.ts';

/** Numbers, by position. */
type Reals = ArrayLike<number>;

export interface Estimate {
  mean: number;
  /** Of the mean; NaN where there are too few samples to tell. */
  standardError: number;
}

/**
 * Schulman's estimators of KL(π ‖ π_ref) for a sample of π, with ℓ = log π_ref − log π: k1 = −ℓ is unbiased; k2 = ℓ²/2 is
 * biased, with less variance; k3 = e^ℓ − 1 − ℓ is unbiased where π covers the support of π_ref, and never negative.
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
  /** How the divergence is estimated, k1 by default. */
  estimator?: KlEstimator;
}

/** J(π) = E_π[r] − β KL(π ‖ π_ref) and its parts. The error of J heeds that reward and divergence vary together. */
export function estimateObjective(samples: ObjectiveSamples): {
  objective: Estimate;
  reward: Estimate;
  kl: Estimate;
} {
  const { rewards, policy, reference, beta, estimator = 'k1' } = samples;
  const terms = klTerms('estimateObjective', policy, reference, estimator);
  requireSamples('estimateObjective', rewards, terms.length);
  return {
    objective: sampleMean(terms.map((term, i) => (rewards[i] as number) - beta * term)),
    reward: sampleMean(rewards),
    kl: sampleMean(terms),
  };
}

export interface OptimumEstimate {
  /** E_{π*}[r]. */
  reward: Estimate;
  /** KL(π* ‖ π_ref) in nats. */
  kl: Estimate;
  /** log Z. Its mean is biased downwards (Jensen), by about half its variance. */
  logPartition: Estimate;
  /** (Σ w)² / Σ w², averaged over the prompts: how many samples of π* the reference's samples are worth. */
  effectiveSamples: number;
}

/**
 * What π* would reach, without π*: samples of π_ref weighted by w ∝ e^(r/β), normalised within each prompt (self-normalised
 * importance sampling). `rewards[p]` are those of prompt p's samples; prompts count alike.
 *
 * For one prompt errors are by the delta method. For several they are the spread between prompts, which holds both the
 * prompts' own differences and the sampling within them. The estimates are as good as `effectiveSamples` is large: where it
 * is near 1, the best sample stands for π*, and errors are too small.
 */
export function estimateOptimum(rewards: readonly Reals[], beta: number): OptimumEstimate {
  if (!(beta > 0)) throw new RangeError(`estimateOptimum: beta is ${beta}, but must be above 0`);
  const prompts = rewards.map((group) => weighted(group, beta));
  const across = (of: (prompt: OptimumEstimate) => Estimate) => meanOfPrompts(prompts.map(of));
  return {
    reward: across((prompt) => prompt.reward),
    kl: across((prompt) => prompt.kl),
    logPartition: across((prompt) => prompt.logPartition),
    effectiveSamples: sampleMean(prompts.map((prompt) => prompt.effectiveSamples)).mean,
  };
}

/** One prompt: with w = e^(r/β) and b its mean, each estimate and the mean of its squared influences. */
function weighted(rewards: Reals, beta: number): OptimumEstimate {
  requireSamples('estimateOptimum', rewards, rewards.length);
  const r = Float64Array.from(rewards);
  const n = r.length;
  const highest = r.reduce((a, b) => Math.max(a, b), -Infinity);
  const relative = r.map((each) => Math.exp((each - highest) / beta));
  const total = relative.reduce((a, b) => a + b, 0);
  /** w / b: 1 on average. */
  const weights = relative.map((each) => (each / total) * n);
  const reward = r.reduce((sum, each, i) => sum + (weights[i] as number) * each, 0) / n;
  // Relative to the highest reward, of which both are free.
  const excess = (reward - highest) / beta;
  const logMean = Math.log(total / n);
  const estimate = (mean: number, influence: (weight: number, reward: number) => number): Estimate => {
    const squares = weights.reduce((sum, weight, i) => sum + influence(weight, r[i] as number) ** 2, 0);
    return { mean, standardError: Math.sqrt(squares / (n * (n - 1))) };
  };
  return {
    reward: estimate(reward, (weight, each) => weight * (each - reward)),
    kl: estimate(excess - logMean, (weight, each) => weight * ((each - reward) / beta - 1) + 1),
    logPartition: estimate(highest / beta + logMean, (weight) => weight - 1),
    effectiveSamples: n ** 2 / weights.reduce((sum, weight) => sum + weight ** 2, 0),
  };
}

export interface GapEstimate {
  /** J* − J(π) = β KL(π ‖ π*). Biased downwards for few samples; exact where π is π*. */
  gap: Estimate;
  /** β log Z = J*, from the policy's own samples; biased downwards alike. */
  optimum: Estimate;
  /** As {@link OptimumEstimate} has it: where it is small, the gap is a lower bound. */
  effectiveSamples: number;
}

/**
 * How far a policy is from the optimum of objective (1), without knowing the optimum: with the returns J_i = r − β log π/π_ref
 * of samples of π and w = J_i/β, the gap is β (log E e^w − E w). `returns[p]` are those of prompt p's samples; prompts count
 * alike, and the logarithm is within each. At π* all returns of a prompt are the same, and the gap is 0 sample by sample.
 */
export function estimateGap(returns: readonly Reals[], beta: number): GapEstimate {
  const prompts = returns.map((group) => {
    const { logPartition, effectiveSamples } = estimateOptimum([group], beta);
    const optimum = { mean: beta * logPartition.mean, standardError: beta * logPartition.standardError };
    const n = group.length;
    const mean = Array.from(group).reduce((a, b) => a + b, 0) / n;
    // Influence of a sample: that on β log Z, less that on the mean.
    const squares = Array.from(group, (value) => {
      const weight = Math.exp((value - optimum.mean) / beta);
      return (beta * (weight - 1) - (value - mean)) ** 2;
    }).reduce((a, b) => a + b, 0);
    const gap = { mean: optimum.mean - mean, standardError: Math.sqrt(squares / (n * (n - 1))) };
    return { gap, optimum, effectiveSamples };
  });
  return {
    gap: meanOfPrompts(prompts.map(({ gap }) => gap)),
    optimum: meanOfPrompts(prompts.map(({ optimum }) => optimum)),
    effectiveSamples: sampleMean(prompts.map(({ effectiveSamples }) => effectiveSamples)).mean,
  };
}

export interface BestOfN {
  /** Expected reward of the best of n samples of π_ref. */
  reward: Estimate;
  /** log n − (n − 1)/n, which KL(best of n ‖ π_ref) does not exceed (Beirami et al. 2024). */
  klBound: number;
}

/**
 * Best-of-n from m ≥ n samples a prompt, without bias: the mean of the maximum over all subsets of n, which is
 * Σ_i C(i−1, n−1)/C(m, n) r_(i) over the ordered rewards. The error of one prompt is by the jackknife and needs m > n.
 */
export function estimateBestOfN(rewards: readonly Reals[], n: number): BestOfN {
  if (!(Number.isInteger(n) && n >= 1))
    throw new RangeError(`estimateBestOfN: n is ${n}, no positive whole number`);
  const reward = meanOfPrompts(rewards.map((group) => bestOfSubsets(group, n)));
  return { reward, klBound: Math.log(n) - (n - 1) / n };
}

function bestOfSubsets(rewards: Reals, n: number): Estimate {
  const m = rewards.length;
  if (m < n) throw new RangeError(`estimateBestOfN: ${m} samples of a prompt, fewer than the n of ${n}`);
  const ordered = Float64Array.from(rewards).sort();
  const mean = dot(maximumWeights(m, n), ordered);
  if (m === n) return { mean, standardError: Number.NaN };
  // Without sample j, those above it move down one place. Sums from both ends make all m means in one pass.
  const weights = maximumWeights(m - 1, n);
  const moved = (i: number) => (i > 0 ? (weights[i - 1] as number) * (ordered[i] as number) : 0);
  let above = ordered.reduce((sum, _, i) => sum + moved(i), 0);
  let below = 0;
  const without = ordered.map((reward, j) => {
    above -= moved(j);
    const result = below + above;
    if (j < m - 1) below += (weights[j] as number) * reward;
    return result;
  });
  const centre = without.reduce((a, b) => a + b, 0) / m;
  const squares = without.reduce((sum, each) => sum + (each - centre) ** 2, 0);
  return { mean, standardError: Math.sqrt((squares * (m - 1)) / m) };
}

/** C(i−1, n−1) / C(m, n) for i = 1 … m: how often the i-th smallest of m is the largest of n. */
function maximumWeights(m: number, n: number): Float64Array {
  const weights = new Float64Array(m);
  // The largest is in n of m subsets; each place below it in (i − n) / (i − 1) as many as the place above.
  let weight = n / m;
  for (let i = m; i >= n; i--) {
    weights[i - 1] = weight;
    weight *= (i - n) / (i - 1);
  }
  return weights;
}

function klTerms(name: string, policy: Reals, reference: Reals, estimator: KlEstimator): Float64Array {
  requireSamples(name, reference, policy.length);
  const term = own(KL_ESTIMATORS, estimator);
  if (!term) {
    const known = Object.keys(KL_ESTIMATORS).join(', ');
    throw new RangeError(`${name}: no estimator is called ${estimator}. Supported estimators: ${known}`);
  }
  return Float64Array.from(policy, (logp, i) => term((reference[i] as number) - logp));
}

/** The mean over prompts: of one its own estimate, of several with the spread between them. */
function meanOfPrompts(estimates: readonly Estimate[]): Estimate {
  const [only] = estimates;
  return only && estimates.length === 1 ? only : sampleMean(estimates.map(({ mean }) => mean));
}

function sampleMean(values: Reals): Estimate {
  const n = values.length;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += values[i] as number;
  const mean = sum / n;
  let squares = 0;
  for (let i = 0; i < n; i++) squares += ((values[i] as number) - mean) ** 2;
  return { mean, standardError: Math.sqrt(squares / (n * (n - 1))) };
}

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, each, i) => sum + each * (b[i] as number), 0);
}

function requireSamples(name: string, values: Reals, count: number): void {
  if (values.length !== count || count === 0) {
    throw new RangeError(
      `${name}: ${values.length} values for ${count} samples; at least one is needed, and one each`,
    );
  }
}
