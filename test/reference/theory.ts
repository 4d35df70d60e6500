/**
 * Theorem 1 on finite answer sets, in float64: objective (1), the optimal policy with its partition function, and the
 * implicit reward (Rafailov et al. 2023, equations 3 to 5). Rows are prompts, columns answers; policies and references are
 * logits, −∞ masks an answer. Works for rewards and β of any size that float64 can represent.
 */
import type { Matrix, Reals } from './arrays.ts';
import { reverseKl } from './kl.ts';
import { logSoftmax } from './softmax.ts';

export interface Optimal {
  /** (rows, cols) log π* = log π_ref + f/β − log Z. */
  logPolicy: Float64Array;
  /** (rows) log Z = log Σ π_ref e^(f/β), taken relative to the largest f. */
  logPartition: Float64Array;
  /** (rows) β log Z. */
  optimum: Float64Array;
}

export function optimalPolicy(reference: Reals, rewards: Reals, beta: Reals, shape: Matrix): Optimal {
  const { rows, cols } = shape;
  const logReference = logSoftmax(reference, shape);
  const logPolicy = new Float64Array(rows * cols).fill(-Infinity);
  const logPartition = new Float64Array(rows).fill(-Infinity);
  const optimum = new Float64Array(rows).fill(-Infinity);
  for (let n = 0; n < rows; n++) {
    const allowed = Array.from({ length: cols }, (_, v) => n * cols + v).filter(
      (at) => logReference[at] > -Infinity && rewards[at] > -Infinity,
    );
    if (allowed.length === 0) continue;
    const highest = allowed.reduce((largest, at) => Math.max(largest, rewards[at]), -Infinity);
    let sum = 0;
    let excess = 0;
    const x = (at: number) => (rewards[at] - highest) / beta[n];
    for (const at of allowed) {
      sum += Math.exp(logReference[at] + x(at));
      excess += Math.exp(logReference[at]) * Math.expm1(x(at));
    }
    // For answers that the reference allows and the reward forbids, e^x − 1 is −1.
    for (let v = 0; v < cols; v++) {
      if (rewards[n * cols + v] === -Infinity) excess -= Math.exp(logReference[n * cols + v]);
    }
    const logSum =
      excess > -0.5
        ? Math.log1p(excess)
        : logOfSum(
            allowed.map((at) => logReference[at] + x(at)),
            sum,
          );
    for (const at of allowed) logPolicy[at] = logReference[at] + x(at) - logSum;
    logPartition[n] = highest / beta[n] + logSum;
    optimum[n] = highest + beta[n] * logSum;
  }
  return { logPolicy, logPartition, optimum };
}

/** log Σ e^z, with a shift where the plain sum is 0. */
function logOfSum(z: readonly number[], sum: number): number {
  if (sum > 1e-200) return Math.log(sum);
  const largest = z.reduce((a, b) => Math.max(a, b), -Infinity);
  return largest + Math.log(z.reduce((total, each) => total + Math.exp(each - largest), 0));
}

/** (rows) Σ p v over the entries that are not masked. */
export function expectation(logits: Reals, values: Reals, shape: Matrix): Float64Array {
  const logp = logSoftmax(logits, shape);
  const result = new Float64Array(shape.rows);
  logp.forEach((value, at) => {
    if (value > -Infinity) result[Math.floor(at / shape.cols)] += Math.exp(value) * values[at];
  });
  return result;
}

/** dlogits (rows, cols) = dexpectation · p (v − E). */
export function expectationBackward(
  dexpectation: Reals,
  logits: Reals,
  values: Reals,
  shape: Matrix,
): Float64Array {
  const logp = logSoftmax(logits, shape);
  const mean = expectation(logits, values, shape);
  return logp.map((value, at) => {
    const row = Math.floor(at / shape.cols);
    return value > -Infinity ? dexpectation[row] * Math.exp(value) * (values[at] - mean[row]) : 0;
  });
}

export interface ObjectiveValue {
  /** (rows) J(π) = E_π[r] − β KL(π ‖ π_ref). */
  value: Float64Array;
  reward: Float64Array;
  kl: Float64Array;
  /** (rows, cols) d J / d policy logits = π (a − Σ π a) with a = r − β log(π / π_ref). */
  dpolicy: Float64Array;
}

export function objective(
  policy: Reals,
  reference: Reals,
  rewards: Reals,
  beta: Reals,
  shape: Matrix,
): ObjectiveValue {
  const reward = expectation(policy, rewards, shape);
  const { kl, dpolicy: dkl } = reverseKl(policy, reference, shape);
  const ones = new Float64Array(shape.rows).fill(1);
  const dreward = expectationBackward(ones, policy, rewards, shape);
  const row = (at: number) => Math.floor(at / shape.cols);
  return {
    value: reward.map((each, n) => each - beta[n] * kl[n]),
    reward,
    kl,
    dpolicy: dreward.map((each, at) => each - beta[row(at)] * dkl[at]),
  };
}

/** (rows, cols) f = β log(π / π_ref) + optimum; −∞ where the policy is masked, +∞ where the reference alone is. */
export function implicitReward(
  policy: Reals,
  reference: Reals,
  beta: Reals,
  optimum: Reals,
  shape: Matrix,
): Float64Array {
  const logReference = logSoftmax(reference, shape);
  return logSoftmax(policy, shape).map((logp, at) => {
    const row = Math.floor(at / shape.cols);
    return logp > -Infinity ? beta[row] * (logp - logReference[at]) + optimum[row] : -Infinity;
  });
}
