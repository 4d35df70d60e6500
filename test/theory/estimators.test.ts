/**
 * Monte-Carlo estimates against what they estimate: exact values of small distributions, unbiasedness by enumeration, and
 * standard errors against the spread of repeated runs.
 */
import { expect } from 'chai';
import {
  type Estimate,
  estimateBestOfN,
  estimateGap,
  estimateKl,
  estimateObjective,
  estimateOptimum,
  type KlEstimator,
} from '../../src/theory/estimators.ts';
import { random } from '../reference/compare.ts';
import { reverseKl } from '../reference/kl.ts';
import { logSoftmax, softmax } from '../reference/softmax.ts';
import * as reference from '../reference/theory.ts';

const shape = { rows: 1, cols: 5 };
const POLICY = [0.3, 1, -0.4, 0, 0.6];
const REFERENCE = [0.1, 0.2, 0.3, -0.5, 0];
const REWARDS = [1, -0.5, 2, 0.25, 0.5];
const BETA = 0.7;
const [logPolicy, logReference] = [POLICY, REFERENCE].map((logits) => logSoftmax(logits, shape));

/** `count` answers drawn from logits. */
function draw(logits: readonly number[], count: number, uniform: () => number): number[] {
  const p = softmax(logits, shape);
  return Array.from({ length: count }, () => {
    let left = uniform();
    const found = p.findIndex((each) => {
      left -= each;
      return left < 0;
    });
    return found < 0 ? p.length - 1 : found;
  });
}

/**
 * Runs an estimator on many independent samples: its mean must be the truth and its standard error the spread. 400 runs tell
 * a spread to 3.5 %, four standard errors of the mean are allowed beside the bias.
 */
function checkRuns(run: (uniform: () => number) => Estimate, truth: number, bias = 0): void {
  const { uniform } = random(7);
  const runs = Array.from({ length: 400 }, () => run(uniform));
  const mean = runs.reduce((sum, each) => sum + each.mean, 0) / runs.length;
  const spread = Math.sqrt(runs.reduce((sum, each) => sum + (each.mean - mean) ** 2, 0) / (runs.length - 1));
  const told = runs.reduce((sum, each) => sum + each.standardError, 0) / runs.length;
  expect(mean).to.be.closeTo(truth, (4 * spread) / Math.sqrt(runs.length) + bias);
  expect(told / spread).to.be.within(0.87, 1.13);
}

const at = (values: ArrayLike<number>, answers: readonly number[]) => answers.map((i) => values[i] as number);

describe('estimates from samples of the policy', () => {
  const exact = reverseKl(POLICY, REFERENCE, shape).kl[0]!;

  for (const [estimator, truth] of [
    ['k1', exact],
    ['k3', exact],
    [
      'k2',
      [...logPolicy!].reduce(
        (sum, logp, i) => sum + (Math.exp(logp) * (logp - logReference![i]!) ** 2) / 2,
        0,
      ),
    ],
  ] as [KlEstimator, number][]) {
    it(`${estimator} of KL has the mean it should, and its standard error`, () => {
      checkRuns((uniform) => {
        const answers = draw(POLICY, 200, uniform);
        return estimateKl(at(logPolicy!, answers), at(logReference!, answers), estimator);
      }, truth);
    });
  }

  it('objective (1) and its parts', () => {
    const truth = reference.objective(POLICY, REFERENCE, REWARDS, [BETA], shape);
    for (const [part, value] of [
      ['objective', truth.value],
      ['reward', truth.reward],
      ['kl', truth.kl],
    ] as const) {
      checkRuns((uniform) => {
        const answers = draw(POLICY, 200, uniform);
        const [rewards, policy, prior] = [REWARDS, logPolicy!, logReference!].map((all) => at(all, answers));
        return estimateObjective({ rewards: rewards!, policy: policy!, reference: prior!, beta: BETA })[part];
      }, value[0]!);
    }
  });

  it('one sample has a mean and no standard error', () => {
    expect(estimateKl([-1], [-3])).to.deep.equal({ mean: 2, standardError: Number.NaN });
  });

  it('refuses samples that do not match', () => {
    expect(() => estimateKl([1, 2], [1])).to.throw(RangeError, '1 values for 2 samples');
    expect(() => estimateKl([], [])).to.throw(RangeError, 'at least one');
  });
});

describe('estimates of the optimum from samples of the reference', () => {
  const { logPolicy: best, logPartition } = reference.optimalPolicy(REFERENCE, REWARDS, [BETA], shape);
  const truth = {
    reward: reference.expectation(best, REWARDS, shape)[0]!,
    kl: reverseKl(best, REFERENCE, shape).kl[0]!,
    logPartition: logPartition[0]!,
  };
  const sample = (uniform: () => number) => at(REWARDS, draw(REFERENCE, 400, uniform));

  for (const part of ['reward', 'kl', 'logPartition'] as const) {
    it(`${part}, of one prompt and of several`, () => {
      // A ratio of means has a bias of about variance / samples: 1 / 400.
      checkRuns((uniform) => estimateOptimum([sample(uniform)], BETA)[part], truth[part], 0.0025);
      const several = (uniform: () => number) =>
        Array.from({ length: 20 }, () => sample(uniform).slice(0, 80));
      checkRuns((uniform) => estimateOptimum(several(uniform), BETA)[part], truth[part], 0.0125);
    });
  }

  it('is exact on a sample that is the reference', () => {
    const rewards = [1, 2, 4, 4];
    const uniform = new Float64Array(4);
    const exact = reference.optimalPolicy(uniform, rewards, [0.5], { rows: 1, cols: 4 });
    const { reward, kl, logPartition: z, effectiveSamples } = estimateOptimum([rewards], 0.5);
    const p = exact.logPolicy.map(Math.exp);
    expect(reward.mean).to.be.closeTo(
      p.reduce((sum, each, i) => sum + each * rewards[i]!, 0),
      1e-12,
    );
    expect(kl.mean).to.be.closeTo(reverseKl(exact.logPolicy, uniform, { rows: 1, cols: 4 }).kl[0]!, 1e-12);
    expect(z.mean).to.be.closeTo(exact.logPartition[0]!, 1e-12);
    expect(effectiveSamples).to.be.closeTo(1 / p.reduce((sum, each) => sum + each ** 2, 0), 1e-12);
  });

  it('counts all samples under a huge β, one under a tiny one, without overflow', () => {
    const rewards = [[1e4, 5, -1e4, 1]];
    expect(estimateOptimum(rewards, 1e9).effectiveSamples).to.be.closeTo(4, 1e-4);
    const tiny = estimateOptimum(rewards, 1e-6);
    expect(tiny.effectiveSamples).to.equal(1);
    expect(tiny.reward.mean).to.equal(1e4);
    expect(tiny.kl.mean).to.be.closeTo(Math.log(4), 1e-9);
    expect(() => estimateOptimum(rewards, 0)).to.throw(RangeError, 'beta is 0');
  });
});

describe('best of n', () => {
  it('is the mean maximum over all subsets', () => {
    const rewards = [3, -1, 4, 1, 5, -9];
    const maxima: number[] = [];
    for (let subset = 0; subset < 64; subset++) {
      const chosen = rewards.filter((_, i) => subset & (1 << i));
      if (chosen.length === 3) maxima.push(Math.max(...chosen));
    }
    const mean = maxima.reduce((a, b) => a + b) / maxima.length;
    expect(estimateBestOfN([rewards], 3).reward.mean).to.be.closeTo(mean, 1e-12);
  });

  it('has the mean and the standard error it should', () => {
    const p = softmax(REFERENCE, shape);
    // P(max ≤ r)⁴ over the ordered rewards.
    const order = [...REWARDS.keys()].sort((a, b) => REWARDS[a]! - REWARDS[b]!);
    let cumulative = 0;
    const truth = order.reduce((sum, i) => {
      const before = cumulative ** 4;
      cumulative += p[i]!;
      return sum + REWARDS[i]! * (cumulative ** 4 - before);
    }, 0);
    checkRuns((uniform) => estimateBestOfN([at(REWARDS, draw(REFERENCE, 100, uniform))], 4).reward, truth);
    checkRuns((uniform) => {
      const prompts = Array.from({ length: 20 }, () => at(REWARDS, draw(REFERENCE, 6, uniform)));
      return estimateBestOfN(prompts, 4).reward;
    }, truth);
  });

  it('of one is the mean with its standard error, of all the maximum without', () => {
    const rewards = [1, 2, 6];
    const one = estimateBestOfN([rewards], 1);
    expect(one.reward.mean).to.be.closeTo(3, 1e-12);
    expect(one.reward.standardError).to.be.closeTo(Math.sqrt(14 / 6), 1e-12);
    expect(one.klBound).to.equal(0);
    const all = estimateBestOfN([rewards], 3);
    expect(all.reward).to.deep.equal({ mean: 6, standardError: Number.NaN });
    expect(all.klBound).to.be.closeTo(Math.log(3) - 2 / 3, 1e-12);
    expect(() => estimateBestOfN([rewards], 4)).to.throw(RangeError, '3 samples');
  });
});

describe('the certificate', () => {
  const returns = POLICY.map(
    (_, i) => (REWARDS[i] as number) - BETA * ((logPolicy![i] as number) - (logReference![i] as number)),
  );
  const probabilities = softmax(POLICY, shape);
  const objective = returns.reduce((sum, value, i) => sum + (probabilities[i] as number) * value, 0);
  const optimum =
    BETA *
    Math.log(
      REWARDS.reduce((sum, reward, i) => sum + Math.exp((logReference![i] as number) + reward / BETA), 0),
    );

  it('estimates the gap to the optimum from samples of the policy alone, with its error', () => {
    const samples = (uniform: () => number) => at(returns, draw(POLICY, 400, uniform));
    // Biased downwards by about half the variance of the mean weight over β.
    checkRuns((uniform) => estimateGap([samples(uniform)], BETA).gap, optimum - objective, 0.01);
    checkRuns((uniform) => estimateGap([samples(uniform)], BETA).optimum, optimum, 0.01);
  });

  it('is 0, sample by sample, for the optimal policy, however few there are', () => {
    const best = REWARDS.map((reward, i) => (logReference![i] as number) + (reward - optimum) / BETA);
    const own = REWARDS.map(
      (reward, i) => reward - BETA * ((best[i] as number) - (logReference![i] as number)),
    );
    const { gap, effectiveSamples } = estimateGap([[own[0]!, own[3]!, own[1]!]], BETA);
    expect(gap.mean).to.be.closeTo(0, 1e-12);
    expect(gap.standardError).to.be.closeTo(0, 1e-12);
    expect(effectiveSamples).to.be.closeTo(3, 1e-9);
  });

  it('takes the logarithm within each prompt', () => {
    // Two prompts whose optima differ: pooled they would look as if something were left to gain.
    const { gap } = estimateGap(
      [
        [1, 1],
        [5, 5],
      ],
      BETA,
    );
    expect(gap.mean).to.be.closeTo(0, 1e-12);
  });
});
