/**
 * A problem whose completions can all be listed: completions of a few tokens, of which token 0 is the end token, each with
 * a reward, and a policy that is a table of logits, one row per prefix. Computes exact values of a policy in float64.
 */
import problems from './problems.json' with { type: 'json' };

/** A completion, including its end token. */
export interface Completion {
  tokens: readonly number[];
  /** The row of the table from which each token is sampled. */
  rows: readonly number[];
}

export interface Problem {
  vocabulary: number;
  /** The prefixes that may precede a token: rows of a table. The empty one comes first. */
  prefixes: readonly (readonly number[])[];
  completions: readonly Completion[];
  rewards: readonly number[];
  beta: number;
  /** Logits (prefixes, vocabulary) of π_ref, and of another policy for comparing gradients. */
  reference: Float64Array;
  policy: Float64Array;
}

/** The distribution over completions for a table of logits. */
export interface Distribution {
  /** (prefixes, vocabulary): log π(token | prefix). */
  cells: Float64Array;
  /** log π of every token, completion by completion. */
  tokens: readonly (readonly number[])[];
  probabilities: readonly number[];
}

const END = 0;

interface StoredProblem {
  vocabulary: number;
  longest: number;
  beta: number;
  reference: readonly number[];
  policy: readonly number[];
  rewards: readonly number[];
}

function problemOf({ vocabulary, longest, beta, reference, policy, rewards }: StoredProblem): Problem {
  const all = Array.from({ length: vocabulary }, (_, token) => token);
  const prefixes: number[][] = [[]];
  for (const prefix of prefixes) {
    if (prefix.length + 1 >= longest) break;
    prefixes.push(...all.filter((token) => token !== END).map((token) => [...prefix, token]));
  }
  const rowOf = new Map(prefixes.map((prefix, row) => [prefix.join(), row]));
  const grow = (tokens: number[]): number[][] =>
    tokens.length === longest || tokens.at(-1) === END
      ? [tokens]
      : all.flatMap((next) => grow([...tokens, next]));
  const completions = grow([]).map((tokens) => ({
    tokens,
    rows: tokens.map((_, t) => rowOf.get(tokens.slice(0, t).join())!),
  }));
  return {
    vocabulary,
    prefixes,
    completions,
    rewards,
    beta,
    reference: Float64Array.from(reference),
    policy: Float64Array.from(policy),
  };
}

/** 85 completions of at most three of five tokens. */
export const TREE = problemOf(problems.tree);
/** Six answers of one token. */
export const BANDIT = problemOf(problems.bandit);

/** The distribution of a policy given as a table of logits. */
export function distribution({ vocabulary, completions }: Problem, logits: ArrayLike<number>): Distribution {
  const cells = new Float64Array(logits.length);
  for (let start = 0; start < logits.length; start += vocabulary) {
    const row = Array.from({ length: vocabulary }, (_, token) => logits[start + token]);
    const total = logSumExp(row);
    row.forEach((logit, token) => {
      cells[start + token] = logit - total;
    });
  }
  const tokens = completions.map(({ tokens, rows }) =>
    tokens.map((token, t) => cells[rows[t] * vocabulary + token]),
  );
  return { cells, tokens, probabilities: tokens.map((values) => Math.exp(sum(values))) };
}

/** log π − log π_ref of every token. */
export function logRatios(
  { tokens }: Pick<Distribution, 'tokens'>,
  reference: Pick<Distribution, 'tokens'>,
): number[][] {
  return tokens.map((values, y) => values.map((value, t) => value - reference.tokens[y][t]));
}

/** r − β log π/π_ref of every completion, whose expectation is J. */
export function returnsOf(problem: Problem, policy: Distribution): number[] {
  const ratios = logRatios(policy, distribution(problem, problem.reference));
  return problem.rewards.map((reward, y) => reward - problem.beta * sum(ratios[y]));
}

/** Objective (1) of a table of logits. */
export function objectiveOf(problem: Problem, logits: ArrayLike<number>): number {
  const policy = distribution(problem, logits);
  return expectation(policy, returnsOf(problem, policy));
}

/** β log Z, the maximum of J over all policies (Theorem 1). */
export function optimumOf(problem: Problem): number {
  const { beta, rewards } = problem;
  const { tokens } = distribution(problem, problem.reference);
  return beta * logSumExp(tokens.map((values, y) => sum(values) + rewards[y] / beta));
}

/** Σ p v over the completions. */
export function expectation({ probabilities }: Distribution, values: readonly number[]): number {
  return probabilities.reduce((total, p, y) => total + p * values[y], 0);
}

/**
 * Σ c ∇ log π(token | prefix) with a coefficient c for every token of every completion, the form of every policy gradient.
 * With respect to the logits of the table, (prefixes, vocabulary).
 */
export function scoreGradient(
  { vocabulary, completions }: Problem,
  { cells }: Distribution,
  coefficients: readonly (readonly number[])[],
): Float64Array {
  const gradient = new Float64Array(cells.length);
  const totals = new Float64Array(cells.length / vocabulary);
  completions.forEach(({ tokens, rows }, y) => {
    tokens.forEach((token, t) => {
      const row = rows[t];
      const c = coefficients[y][t];
      gradient[row * vocabulary + token] = gradient[row * vocabulary + token] + c;
      totals[row] = totals[row] + c;
    });
  });
  return gradient.map((own, i) => own - totals[Math.floor(i / vocabulary)] * Math.exp(cells[i]));
}

/** Repeats the coefficient of each completion for each of its tokens. */
export function toTokens({ completions }: Problem, values: readonly number[]): number[][] {
  return completions.map(({ tokens }, y) => tokens.map(() => values[y]));
}

export function logSumExp(values: readonly number[]): number {
  const largest = Math.max(...values);
  return largest + Math.log(sum(values.map((value) => Math.exp(value - largest))));
}

export function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
