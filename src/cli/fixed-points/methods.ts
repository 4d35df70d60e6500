/**
 * The methods, a row each: a loss of the catalogue, the batch that has its expected gradient under a policy, and where it
 * should come to rest.
 */
import { FAMILIES, lossOf, type TrainingLoss } from '../../losses/families.ts';
import { type CreditRule, meanOfOthers } from './expected.ts';
import { type Distribution, optimumOf, type Problem, returnsOf } from './problem.ts';
import type { WeighedBatch } from './table.ts';

export interface Method {
  /** Names its kept figures. */
  id: string;
  name: string;
  /** What its gradient follows, in a sentence or two. */
  remark: string;
  loss(problem: Problem): TrainingLoss;
  /** The batch whose gradient is the expected one under this policy. */
  batch(problem: Problem, policy: Distribution): WeighedBatch;
  /** J where it should come to rest, computed without its loss, and how; undefined where nothing predicts it. */
  predicted: { how: string; objective(problem: Problem): number } | undefined;
}

/** A loss on sampled tokens, on every completion twice: its advantage may be positive or negative. */
function policyGradient(credit: CreditRule, returns: (problem: Problem, policy: Distribution) => number[]) {
  return (problem: Problem, policy: Distribution): WeighedBatch => {
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

export const METHODS: readonly Method[] = [
  {
    id: 'rloo',
    name: 'RLOO',
    remark: 'The KL is in the reward and the baseline is the mean of the others: the gradient is that of J.',
    loss: ({ beta }) => lossOf(FAMILIES.rloo, { lossType: 'rloo', beta }),
    batch: policyGradient(meanOfOthers, returnsOf),
    predicted: { how: 'β log Z', objective: optimumOf },
  },
];
