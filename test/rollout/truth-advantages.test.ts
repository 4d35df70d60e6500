/**
 * The advantages of rollouts, over all possible groups: every tuple of completions of a small tree, weighted by its
 * probability, compared with the policy gradient; completions without a reward, and groups with equal rewards.
 */
import { expect } from 'chai';
import { advantages, BASELINES, type Baseline } from '../../src/rollout/advantages.ts';
import { groupsOfTwo, meanAdvantages, meanOfOthers } from '../../src/studies/fixed-points/expected.ts';
import { distribution, expectation, returnsOf, TREE } from '../../src/studies/fixed-points/problem.ts';
import { random } from '../reference/compare.ts';

/** Error of float64 sums of about a thousand terms. */
const EXACT = 1e-12;

/** Σ over all tuples of probability · advantage, per completion; null is a completion without a reward. */
function overTuples(
  probabilities: readonly number[],
  rewards: readonly (number | null)[],
  numGenerations: number,
  baseline: Baseline,
): number[] {
  const sums = probabilities.map(() => 0);
  const visit = (tuple: readonly number[], probability: number): void => {
    if (tuple.length < numGenerations) {
      for (const [y, p] of probabilities.entries()) visit([...tuple, y], probability * p);
      return;
    }
    const group = tuple.map((y) => rewards[y]);
    const values = advantages(group, { numGenerations, baseline });
    for (const [i, y] of tuple.entries()) sums[y] = sums[y] + (probability * values[i]) / numGenerations;
  };
  visit([], 1);
  return sums;
}

describe('truth: advantages over all groups', () => {
  const policy = distribution(TREE, TREE.policy);
  const returns = returnsOf(TREE, policy);
  const mean = expectation(policy, returns);

  it('of the tree’s 7,225 pairs, KL included, are R − E R, halved if the mean includes the own reward', () => {
    expect(policy.probabilities.reduce((a, b) => a + b, 0)).to.be.closeTo(1, EXACT);
    const truth = returns.map((value) => value - mean);
    const scales = { leave_one_out: 1, group_mean: 1 / 2 } as const;
    for (const [baseline, scale] of Object.entries(scales) as [Baseline, number][]) {
      const found = meanAdvantages(groupsOfTwo({ baseline }, 'sum')(TREE, policy, returns));
      for (const [y, value] of found.entries())
        expect(value, baseline).to.be.closeTo(scale * truth[y], EXACT);
    }
    const simple = meanAdvantages(meanOfOthers(TREE, policy, returns));
    for (const [y, value] of simple.entries()) expect(value).to.be.closeTo(truth[y], EXACT);
  });

  it('exclude completions without a reward, and only compare the others', () => {
    const { uniform, normal } = random(4);
    const weights = Array.from({ length: 6 }, () => uniform());
    const total = weights.reduce((a, b) => a + b, 0);
    const probabilities = weights.map((weight) => weight / total);
    const rewards = probabilities.map((_, y) => (y % 3 === 1 ? null : normal()));
    const unrated = probabilities.reduce((sum, p, y) => sum + (rewards[y] === null ? p : 0), 0);
    const rated = probabilities.reduce((sum, p, y) => sum + p * (rewards[y] ?? 0), 0) / (1 - unrated);
    const count = 4;
    /** Probability of n completions with a reward among the others. */
    const others = Array.from({ length: count }, (_, n) => {
      const ways = [1, 3, 3, 1][n];
      return ways * (1 - unrated) ** n * unrated ** (count - 1 - n);
    });
    const shares = {
      leave_one_out: others.reduce((sum, p, n) => sum + (n > 0 ? p : 0), 0),
      // One of the n + 1 is the completion itself.
      group_mean: others.reduce((sum, p, n) => sum + (p * n) / (n + 1), 0),
    };
    for (const [baseline, share] of Object.entries(shares) as [Baseline, number][]) {
      const found = overTuples(probabilities, rewards, count, baseline);
      for (const [y, value] of found.entries()) {
        const reward = rewards[y];
        const truth = reward === null ? 0 : probabilities[y] * share * (reward - rated);
        expect(value, `${baseline}, completion ${y}`).to.be.closeTo(truth, EXACT);
      }
    }
  });

  it('are exactly 0 in a group with equal rewards', () => {
    const { normal } = random(5);
    const compared = (Object.keys(BASELINES) as Baseline[]).filter((baseline) => baseline !== 'none');
    for (let numGenerations = 2; numGenerations <= 16; numGenerations++) {
      for (const reward of [0.1, 1 / 3, 1e20, -7.3, 2 ** 53 - 1, ...Array.from({ length: 20 }, normal)]) {
        const group = new Array<number>(numGenerations).fill(reward);
        for (const baseline of compared) {
          const values = advantages(group, { numGenerations, baseline });
          expect(
            [...values].every((value) => value === 0),
            `${baseline}, ${numGenerations} of ${reward}`,
          ).to.equal(true);
        }
      }
    }
  });
});
