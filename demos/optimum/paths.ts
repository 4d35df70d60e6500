/**
 * Four methods for approaching the optimum, as losses on the logits of a policy over a few answers, in float64: objective
 * (1) itself, DPO and IPO on all pairs of answers, and forward KL to π*. Population losses: a pair is weighted by the
 * probability of its preference under the Bradley–Terry model. Only for drawing paths; the theory module computes the
 * numbers on the page.
 */

export interface Problem {
  /** log π_ref. */
  reference: readonly number[];
  rewards: readonly number[];
  beta: number;
  /** log π*. */
  optimal: readonly number[];
}

export interface Loss {
  value: (logits: readonly number[]) => number;
  gradient: (logits: readonly number[]) => number[];
}

export type Method = 'ascent' | 'dpo' | 'ipo' | 'forward';

/** Every loss by name. All are minimized. */
export const LOSSES: Readonly<Record<Method, (problem: Problem) => Loss>> = {
  /** −J(π) = −E_π[r] + β KL(π ‖ π_ref). */
  ascent: ({ reference, rewards, beta }) => {
    const advantages = (logp: readonly number[]) =>
      logp.map((each, i) => at(rewards, i) - beta * (each - at(reference, i)));
    const mean = (logp: readonly number[], values: readonly number[]) =>
      logp.reduce((sum, each, i) => sum + Math.exp(each) * at(values, i), 0);
    return {
      value: (logits) => {
        const logp = logSoftmax(logits);
        return -mean(logp, advantages(logp));
      },
      gradient: (logits) => {
        const logp = logSoftmax(logits);
        const a = advantages(logp);
        const centre = mean(logp, a);
        return logp.map((each, i) => -Math.exp(each) * (at(a, i) - centre));
      },
    };
  },

  /** −log σ(β Δ), expected over pairs (Rafailov et al. 2023, equation 7). */
  dpo: (problem) =>
    overPairs(problem, (difference) => {
      const z = problem.beta * difference;
      return [softplus(-z), -problem.beta * sigmoid(-z)];
    }),

  /** (Δ − 1/2β)², expected over pairs (Azar et al. 2023, equation 17). */
  ipo: (problem) =>
    overPairs(problem, (difference) => {
      const off = difference - 1 / (2 * problem.beta);
      return [off ** 2, 2 * off];
    }),

  /** KL(π* ‖ π). */
  forward: ({ optimal }) => ({
    value: (logits) => {
      const logp = logSoftmax(logits);
      return optimal.reduce(
        (sum, each, i) => sum + (each > -Infinity ? Math.exp(each) * (each - at(logp, i)) : 0),
        0,
      );
    },
    gradient: (logits) => logSoftmax(logits).map((each, i) => Math.exp(each) - Math.exp(at(optimal, i))),
  }),
};

/**
 * Σ P(i ≻ j) ℓ(Δ_ij) over all pairs with equal weight, with P(i ≻ j) = σ(r_i − r_j) and Δ_ij the difference of log(π /
 * π_ref). `term` returns ℓ and dℓ/dΔ.
 */
function overPairs({ reference, rewards }: Problem, term: (difference: number) => [number, number]): Loss {
  const all = rewards.flatMap((_, i) => rewards.flatMap((_, j) => (i === j ? [] : [[i, j] as const])));
  const each = (logits: readonly number[]) =>
    all.map(([i, j]) => {
      const weight = (2 * sigmoid(at(rewards, i) - at(rewards, j))) / all.length;
      const [value, slope] = term(at(logits, i) - at(reference, i) - at(logits, j) + at(reference, j));
      return { i, j, value: weight * value, slope: weight * slope };
    });
  return {
    value: (logits) => each(logits).reduce((sum, { value }) => sum + value, 0),
    gradient: (logits) => {
      const gradient = logits.map(() => 0);
      for (const { i, j, slope } of each(logits)) {
        gradient[i] = at(gradient, i) + slope;
        gradient[j] = at(gradient, j) - slope;
      }
      return gradient;
    },
  };
}

/** Maximum change of a logit per step: short steps follow the gradient flow. */
const LONGEST_STEP = 0.08;
const MOST_STEPS = 8000;
/** Minimum decrease of the loss per step. */
const LEAST_GAIN = 1e-12;
/** Minimum distance in probability between stored points of a path. */
const SPACING = 0.006;

/**
 * Log-policies along the descent from π_ref, including the first and last. Steps grow while the loss decreases and are
 * halved otherwise; the descent ends when a step no longer decreases it.
 */
export function descend(method: Method, problem: Problem): number[][] {
  const { value, gradient } = LOSSES[method](problem);
  let logits = [...problem.reference];
  let loss = value(logits);
  let rate = 1e-2;
  const path = [logSoftmax(logits)];
  for (let step = 0; step < MOST_STEPS; step++) {
    const slope = gradient(logits);
    const steepest = Math.max(...slope.map(Math.abs));
    if (steepest === 0) break;
    const length = Math.min(rate, LONGEST_STEP / steepest);
    const next = logits.map((z, i) => z - length * at(slope, i));
    const reached = value(next);
    if (reached > loss) {
      rate = length / 2;
      if (rate * steepest < 1e-9) break;
      continue;
    }
    const isDone = loss - reached < LEAST_GAIN;
    [logits, loss, rate] = [next, reached, 1.3 * length];
    const here = logSoftmax(logits);
    if (isDone || distance(here, path.at(-1)!) > SPACING) path.push(here);
    if (isDone) break;
  }
  const end = logSoftmax(logits);
  if (distance(end, path.at(-1)!) > 0) path.push(end);
  return path;
}

export function logSoftmax(logits: readonly number[]): number[] {
  const largest = Math.max(...logits);
  const sum = logits.reduce((total, z) => total + Math.exp(z - largest), 0);
  return logits.map((z) => z - largest - Math.log(sum));
}

function distance(a: readonly number[], b: readonly number[]): number {
  return Math.hypot(...a.map((logp, i) => Math.exp(logp) - Math.exp(at(b, i))));
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** log(1 + e^x). */
function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

function at(values: readonly number[], i: number): number {
  return values[i];
}
