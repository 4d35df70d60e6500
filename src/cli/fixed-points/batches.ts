/**
 * Batches whose gradient is the expected one under a policy, for each kind of loss.
 */
import type { CreditRule } from './expected.ts';
import type { Distribution, Problem } from './problem.ts';
import type { WeighedBatch } from './table.ts';

/** Makes the batch of a policy. */
export type BatchRule = (problem: Problem, policy: Distribution) => WeighedBatch;

/** A loss on sampled tokens, on every completion twice: its advantage may be positive or negative. */
export function policyGradient(
  credit: CreditRule,
  returns: (problem: Problem, policy: Distribution) => readonly number[],
): BatchRule {
  return (problem, policy) => {
    const { positive, negative, weight } = credit(problem, policy, returns(problem, policy));
    const all = problem.completions.map((_, y) => y);
    const half = policy.probabilities.map((p, y) => (p * (weight[y] as number)) / 2);
    const advantage = (sums: readonly number[]) =>
      sums.map((value, y) => (2 * value) / (weight[y] as number));
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
