/**
 * The estimates for one prompt: samples of π_ref, or returns of samples of π, weighted by e^(r/β) and self-normalized.
 * Each value comes plain, with its error from the delta method, and corrected by the jackknife. Float64.
 */

/** Values of π* for one prompt. */
export interface Figures {
  /** E_{π*}[r]. */
  reward: number;
  /** KL(π* ‖ π_ref) in nats. */
  kl: number;
  logPartition: number;
}

export interface Weighted {
  plain: Figures;
  /** Of the plain values, by the delta method. */
  errors: Figures;
  /**
   * n θ − (n − 1) mean θ₍₋ᵢ₎ over all leave-one-out samples, which removes the bias of order 1/n. For one sample, the plain
   * values.
   */
  corrected: Figures;
  /** Of the corrected values, by the jackknife; NaN for one sample. */
  correctedErrors: Figures;
  /** θ₍₋ᵢ₎ of log Z, for values that are derived from it. */
  logPartitionWithout: Float64Array;
  /** (Σ w)² / Σ w². */
  effectiveSamples: number;
}

export function weighted(r: Float64Array, beta: number): Weighted {
  const n = r.length;
  const { highest, weights: relative, total } = sums(r, beta);
  const plain = figures(r, beta);
  const { reward } = plain;
  /** w over its mean: 1 on average. */
  const weights = relative.map((each) => (each / total) * n);
  const error = (influence: (weight: number, reward: number) => number): number => {
    const squares = weights.reduce((sum, weight, i) => sum + influence(weight, r[i]) ** 2, 0);
    return Math.sqrt(squares / (n * (n - 1)));
  };
  const without = leftOut(r, beta, { highest, weights: relative, total });
  const of = (part: keyof Figures) =>
    jackknife(
      plain[part],
      Float64Array.from(without, (each) => each[part]),
    );
  const [correctedReward, kl, logPartition] = [of('reward'), of('kl'), of('logPartition')];
  return {
    plain,
    errors: {
      reward: error((weight, each) => weight * (each - reward)),
      kl: error((weight, each) => weight * ((each - reward) / beta - 1) + 1),
      logPartition: error((weight) => weight - 1),
    },
    corrected: { reward: correctedReward.mean, kl: kl.mean, logPartition: logPartition.mean },
    correctedErrors: {
      reward: correctedReward.standardError,
      kl: kl.standardError,
      logPartition: logPartition.standardError,
    },
    logPartitionWithout: Float64Array.from(without, (each) => each.logPartition),
    effectiveSamples: n ** 2 / weights.reduce((sum, weight) => sum + weight ** 2, 0),
  };
}

/** A value from n samples, corrected by the n leave-one-out values, with its error. */
export function jackknife(whole: number, without: Float64Array): { mean: number; standardError: number } {
  const n = without.length;
  if (n < 2) return { mean: whole, standardError: Number.NaN };
  const center = without.reduce((a, b) => a + b, 0) / n;
  const squares = without.reduce((sum, each) => sum + (each - center) ** 2, 0);
  return { mean: n * whole - (n - 1) * center, standardError: Math.sqrt((squares * (n - 1)) / n) };
}

interface Sums {
  highest: number;
  /** e^((r − highest)/β). */
  weights: Float64Array;
  total: number;
}

function sums(r: Float64Array, beta: number): Sums {
  const highest = r.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const weights = r.map((each) => Math.exp((each - highest) / beta));
  return { highest, weights, total: weights.reduce((a, b) => a + b, 0) };
}

function figures(r: Float64Array, beta: number): Figures {
  const { highest, weights, total } = sums(r, beta);
  const reward = r.reduce((sum, each, i) => sum + weights[i] * each, 0) / total;
  return figuresOf(reward, { highest, total, count: r.length }, beta);
}

function figuresOf(
  reward: number,
  { highest, total, count }: { highest: number; total: number; count: number },
  beta: number,
): Figures {
  const logMean = Math.log(total / count);
  // Relative to the highest reward, which cancels in the KL.
  return { reward, kl: (reward - highest) / beta - logMean, logPartition: highest / beta + logMean };
}

/** The leave-one-out values. */
function leftOut(r: Float64Array, beta: number, { highest, weights, total }: Sums): Figures[] {
  const n = r.length;
  if (n < 2) return [];
  const sum = r.reduce((all, each, i) => all + weights[i] * each, 0);
  const top = r.indexOf(highest);
  return Array.from(r, (each, i) => {
    // Without the highest, the others may be too small to be obtained by subtraction.
    if (i === top)
      return figures(
        r.filter((_, j) => j !== top),
        beta,
      );
    const weight = weights[i];
    const rest = total - weight;
    return figuresOf((sum - weight * each) / rest, { highest, total: rest, count: n - 1 }, beta);
  });
}
