/**
 * Predicts the fixed point of a method from its equation, without its loss: at a fixed point, all tokens that may follow a
 * prefix have equal value, including the KL. Float64; shares no code with training.
 */
import { type CreditRule, meanAdvantages } from './expected.ts';
import { type Distribution, distribution, logSumExp, objectiveOf, type Problem, sum } from './problem.ts';

/**
 * KL in the loss, token by token: the probability of a token with credit q and KL weight b = β E[w], at a given level λ of
 * the prefix. With the right λ they sum to 1.
 */
const TOKEN_KL = {
  /** k1²/2, or k3 times the ratio: q − b log π/π_ref = λ. */
  k2: {
    share: (q: number, b: number, level: number) => Math.exp((q - level) / b),
    least: (q: readonly number[]) => Math.min(...q),
  },
  /** k3: q − b (1 − π_ref/π) = λ. */
  k3: {
    share: (q: number, b: number, level: number) => b / (b + level - q),
    least: (q: readonly number[], b: readonly number[]) => Math.max(...q.map((value, i) => value - b[i])),
  },
} as const;

export type TokenKl = keyof typeof TOKEN_KL;

const ROUNDS = 600;
/** Step size of an iteration, below 1 because full steps may oscillate. */
const PACE = 0.3;
const HALVINGS = 100;

/** J of the policy at which unpenalized rewards and a KL in the loss balance, found by fixed-point iteration from π_ref. */
export function balanced(problem: Problem, credit: CreditRule, kl: TokenKl): number {
  const { vocabulary, prefixes, rewards, beta } = problem;
  const { cells: reference } = distribution(problem, problem.reference);
  let logits = Float64Array.from(reference);
  for (let round = 0; round < ROUNDS; round++) {
    const policy = distribution(problem, logits);
    const found = credit(problem, policy, rewards);
    const worth = perCell(problem, policy, meanAdvantages(found));
    const weight = perCell(problem, policy, found.weight);
    const next = new Float64Array(logits.length);
    for (const row of prefixes.keys()) {
      const at = Array.from({ length: vocabulary }, (_, token) => row * vocabulary + token);
      const q = at.map((cell) => worth[cell]);
      const b = at.map((cell) => beta * weight[cell]);
      const shares = solved(
        kl,
        at.map((cell) => Math.exp(reference[cell])),
        q,
        b,
      );
      at.forEach((cell, token) => {
        next[cell] = (1 - PACE) * policy.cells[cell] + PACE * Math.log(shares[token]);
      });
    }
    logits = next;
  }
  return objectiveOf(problem, logits);
}

/** The probabilities of a prefix's tokens, by bisection of λ. */
function solved(
  kl: TokenKl,
  reference: readonly number[],
  q: readonly number[],
  b: readonly number[],
): number[] {
  const { share, least } = TOKEN_KL[kl];
  const at = (level: number) => reference.map((p, token) => p * share(q[token], b[token], level));
  // At the largest credit, no token is more likely than in the reference.
  let high = Math.max(...q);
  let low = least(q, b);
  for (let halving = 0; halving < HALVINGS; halving++) {
    const middle = (low + high) / 2;
    if (at(middle).reduce((x, y) => x + y, 0) > 1) low = middle;
    else high = middle;
  }
  return at(high);
}

/** E[value of the completion | its prefix and the next token]. */
function perCell(
  { vocabulary, completions }: Problem,
  { cells, probabilities }: Distribution,
  values: readonly number[],
): Float64Array {
  const sums = new Float64Array(cells.length);
  const totals = new Float64Array(cells.length);
  completions.forEach(({ tokens, rows }, y) => {
    const p = probabilities[y];
    tokens.forEach((token, t) => {
      const cell = rows[t] * vocabulary + token;
      sums[cell] = sums[cell] + p * values[y];
      totals[cell] = totals[cell] + p;
    });
  });
  return sums.map((sum, cell) => sum / totals[cell]);
}

/**
 * J if advantages are estimated with fixed values V of the prefixes: the value of a token is (1 − λ) V of the next prefix,
 * plus λ times the soft value of the policy from there. Solved by the equation, starting from the longest prefixes.
 */
export function withValues(problem: Problem, values: readonly number[], lam: number): number {
  const { vocabulary, prefixes, completions, rewards, beta } = problem;
  const { cells: reference } = distribution(problem, problem.reference);
  const rewardOf = new Map(completions.map(({ tokens }, y) => [tokens.join(), rewards[y]]));
  const rowOf = new Map(prefixes.map((prefix, row) => [prefix.join(), row]));
  const soft = new Float64Array(prefixes.length);
  const logits = new Float64Array(reference.length);
  for (const row of [...prefixes.keys()].reverse()) {
    const scores = Array.from({ length: vocabulary }, (_, token) => {
      const next = [...prefixes[row], token].join();
      const at = rowOf.get(next);
      const worth = at === undefined ? rewardOf.get(next)! : (1 - lam) * values[at] + lam * soft[at];
      return reference[row * vocabulary + token] + worth / beta;
    });
    logits.set(scores, row * vocabulary);
    soft[row] = beta * logSumExp(scores);
  }
  return objectiveOf(problem, logits);
}

/** J of the policy that always gives the best completion. */
export function collapsed(problem: Problem): number {
  const { rewards, beta } = problem;
  const best = Math.max(...rewards);
  const { tokens } = distribution(problem, problem.reference);
  return best + beta * sum(tokens[rewards.indexOf(best)]);
}
