/**
 * Batches whose gradient equals the expected gradient under a policy, for each kind of loss.
 */
import { generalizedAdvantages, type LABEL_RULES, tokenRewards } from 'webalign/rollouts';
import type { CreditRule } from './expected.ts';
import { type Distribution, distribution, logRatios, type Problem, sum } from './problem.ts';
import type { WeighedBatch } from './table.ts';

/** Makes the batch for a policy. */
export type BatchRule = (problem: Problem, policy: Distribution) => WeighedBatch;

/** A loss on sampled tokens, with every completion twice: its advantage may be positive or negative. */
export function policyGradient(
  credit: CreditRule,
  returns: (problem: Problem, policy: Distribution) => readonly number[],
): BatchRule {
  return (problem, policy) => {
    const { positive, negative, weight } = credit(problem, policy, returns(problem, policy));
    const all = problem.completions.map((_, y) => y);
    const half = policy.probabilities.map((p, y) => (p * weight[y]) / 2);
    const advantage = (sums: readonly number[]) => sums.map((value, y) => (2 * value) / weight[y]);
    return {
      completions: [...all, ...all],
      weights: [...half, ...half],
      columns: {
        advantage: [...advantage(positive), ...advantage(negative)],
        oldLogprobs: [...policy.tokens, ...policy.tokens],
      },
    };
  };
}

/** Values of the prefixes, for estimating advantages. */
export type ValueRule = (problem: Problem, policy: Distribution) => readonly number[];

/** Generalized advantages of every token of every completion. */
export function estimatedAdvantages(values: ValueRule, lam: number): BatchRule {
  return (problem, policy) => {
    const ofPrefixes = values(problem, policy);
    return {
      completions: problem.completions.map((_, y) => y),
      weights: policy.probabilities,
      columns: {
        advantage: tokenReturns(problem, policy).map((rewards, y) => {
          const { rows } = problem.completions[y];
          const own = rows.map((row) => ofPrefixes[row]);
          return [...generalizedAdvantages(rewards, own, { gamma: 1, lam })];
        }),
        oldLogprobs: policy.tokens,
      },
    };
  };
}

/** Exact values: the expected return from each prefix. */
export const exactValues: ValueRule = (problem, policy) => {
  const earned = problem.prefixes.map(() => 0);
  const visits = problem.prefixes.map(() => 0);
  tokenReturns(problem, policy).forEach((rewards, y) => {
    const p = policy.probabilities[y];
    let left = sum([...rewards]);
    problem.completions[y].rows.forEach((row, t) => {
      earned[row] = earned[row] + p * left;
      visits[row] = visits[row] + p;
      left -= rewards[t];
    });
  });
  return earned.map((value, row) => value / visits[row]);
};

function tokenReturns(problem: Problem, policy: Distribution): Float64Array[] {
  const ratios = logRatios(policy, distribution(problem, problem.reference));
  return ratios.map((own, y) => tokenRewards(own, problem.rewards[y], { klCoef: problem.beta }));
}

/** All pairs of two completions of the policy, each in both orders, weighted by how often the rule labels it so. */
export function labelledPairs(rule: LabelRule): BatchRule {
  const known = new WeakMap<Problem, Pair[]>();
  return (problem, { probabilities }) => {
    const pairs = known.get(problem) ?? pairsOf(problem, rule);
    known.set(problem, pairs);
    return {
      completions: pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]),
      weights: pairs.flatMap(({ chosen, rejected, share }) => {
        const weight = share * probabilities[chosen] * probabilities[rejected];
        return [weight, weight];
      }),
      columns: {},
    };
  };
}

type LabelRule = (typeof LABEL_RULES)[keyof typeof LABEL_RULES];

interface Pair {
  chosen: number;
  rejected: number;
  share: number;
}

/** Pairs of two different completions; a pair of equal ones has no gradient. */
function pairsOf({ completions, rewards }: Problem, rule: LabelRule): Pair[] {
  return completions.flatMap((_, chosen) =>
    completions.flatMap((_, rejected) => {
      if (chosen === rejected) return [];
      const share = shareOfFirst(rule, rewards[chosen], rewards[rejected]);
      return share > 0 ? [{ chosen, rejected, share }] : [];
    }),
  );
}

/** The probability that the rule prefers the first of two rewards, found by bisection. */
function shareOfFirst(rule: LabelRule, first: number, second: number): number {
  let low = 0;
  let high = 1;
  if (rule(first, second, low) !== 0) return 0;
  for (let halving = 0; halving < 50; halving++) {
    const middle = (low + high) / 2;
    if (rule(first, second, middle) === 0) low = middle;
    else high = middle;
  }
  return high;
}

/** Regresses every completion on its advantage over a value of the prompt. */
export function regressed(value: (problem: Problem) => number): BatchRule {
  return (problem, { probabilities }) => {
    const base = value(problem);
    return {
      completions: problem.completions.map((_, y) => y),
      weights: probabilities,
      columns: { advantage: problem.rewards.map((reward) => reward - base) },
    };
  };
}
