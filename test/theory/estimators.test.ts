/**
 * Monte Carlo estimates compared with the estimated values: exact values of small distributions, unbiasedness by
 * enumeration, and standard errors compared with the spread of repeated runs.
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

/** A β at which 8 samples are enough for the expansion in 1/n to be visible. */
const MILD = 1.5;
const PARTS = ['reward', 'kl', 'logPartition'] as const;
const ZERO = { reward: 0, kl: 0, logPartition: 0 };

/** Every possible result of n draws from answers of these probabilities. */
function* multinomials(
  p: readonly number[],
  n: number,
  coefficient = 1,
): Generator<{ counts: number[]; probability: number }> {
  const [first, ...others] = p as [number, ...number[]];
  if (others.length === 0) {
    yield { counts: [n], probability: coefficient * first ** n };
    return;
  }
  let ways = coefficient;
  for (let k = 0; k <= n; k++) {
    for (const rest of multinomials(others, n - k, ways * first ** k))
      yield { counts: [k, ...rest.counts], probability: rest.probability };
    ways *= (n - k) / (k + 1);
  }
}

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
 * Runs an estimator on many independent samples: its mean must be the true value and its standard error the spread. 400
 * runs determine a spread to 3.5 %, and four standard errors of the mean are allowed besides the bias.
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

const at = (values: ArrayLike<number>, answers: readonly number[]) => answers.map((i) => values[i]);

describe('estimates from samples of the policy', () => {
  const exact = reverseKl(POLICY, REFERENCE, shape).kl[0];

  for (const [estimator, truth] of [
    ['k1', exact],
    ['k3', exact],
    [
      'k2',
      [...logPolicy].reduce((sum, logp, i) => sum + (Math.exp(logp) * (logp - logReference[i]) ** 2) / 2, 0),
    ],
  ] as [KlEstimator, number][]) {
    it(`${estimator} of KL has the correct mean and standard error`, () => {
      checkRuns((uniform) => {
        const answers = draw(POLICY, 200, uniform);
        return estimateKl(at(logPolicy, answers), at(logReference, answers), estimator);
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
        const [rewards, policy, prior] = [REWARDS, logPolicy, logReference].map((all) => at(all, answers));
        return estimateObjective({ rewards: rewards, policy: policy, reference: prior, beta: BETA })[part];
      }, value[0]);
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
    reward: reference.expectation(best, REWARDS, shape)[0],
    kl: reverseKl(best, REFERENCE, shape).kl[0],
    logPartition: logPartition[0],
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

  it('is exact on a sample that equals the reference', () => {
    const rewards = [1, 2, 4, 4];
    const uniform = new Float64Array(4);
    const exact = reference.optimalPolicy(uniform, rewards, [0.5], { rows: 1, cols: 4 });
    const { reward, kl, logPartition: z, effectiveSamples } = estimateOptimum([rewards], 0.5);
    const p = exact.logPolicy.map(Math.exp);
    expect(reward.mean).to.be.closeTo(
      p.reduce((sum, each, i) => sum + each * rewards[i], 0),
      1e-12,
    );
    expect(kl.mean).to.be.closeTo(reverseKl(exact.logPolicy, uniform, { rows: 1, cols: 4 }).kl[0], 1e-12);
    expect(z.mean).to.be.closeTo(exact.logPartition[0], 1e-12);
    expect(effectiveSamples).to.be.closeTo(1 / p.reduce((sum, each) => sum + each ** 2, 0), 1e-12);
  });

  it('corrected, equals the jackknife', () => {
    for (const [rewards, beta] of [
      [[1, 2, 4, 4, -3], 0.7],
      // Beside the highest reward the others are negligible in float64, until it is left out.
      [[1, 900, 4, 2], 1],
    ] as const) {
      const n = rewards.length;
      const without = rewards.map((_, i) => estimateOptimum([rewards.filter((__, j) => j !== i)], beta));
      const whole = estimateOptimum([rewards], beta);
      for (const part of ['reward', 'kl', 'logPartition'] as const) {
        const values = without.map((each) => each[part].mean);
        const center = values.reduce((a, b) => a + b, 0) / n;
        const { mean, standardError } = whole.corrected[part];
        expect(mean).to.be.closeTo(n * whole[part].mean - (n - 1) * center, 1e-9 * n * 900);
        const squares = values.reduce((sum, each) => sum + (each - center) ** 2, 0);
        expect(standardError).to.be.closeTo(Math.sqrt((squares * (n - 1)) / n), 1e-9 * n * 900);
      }
    }
    const one = estimateOptimum([[3]], 1).corrected.reward;
    expect(one).to.deep.equal({ mean: 3, standardError: Number.NaN });
  });

  it('corrected, is right to the order of 1/n², by enumeration of all samples', () => {
    const { logPolicy: mild, logPartition: z } = reference.optimalPolicy(REFERENCE, REWARDS, [MILD], shape);
    const exact = {
      reward: reference.expectation(mild, REWARDS, shape)[0],
      kl: reverseKl(mild, REFERENCE, shape).kl[0],
      logPartition: z[0],
    };
    // Means over all 5ⁿ samples, by how often each answer occurs in them.
    const bias = (n: number) => {
      const p = softmax(REFERENCE, shape);
      const totals = { plain: { ...ZERO }, corrected: { ...ZERO } };
      for (const { counts, probability } of multinomials([...p], n)) {
        const found = estimateOptimum([counts.flatMap((c, i) => Array(c).fill(REWARDS[i]))], MILD);
        for (const part of PARTS) {
          totals.plain[part] += probability * (found[part].mean - exact[part]);
          totals.corrected[part] += probability * (found.corrected[part].mean - exact[part]);
        }
      }
      return totals;
    };
    const [eight, sixteen] = [bias(8), bias(16)];
    for (const part of PARTS) {
      // Twice the samples halve the plain bias and quarter the corrected one, up to higher orders.
      expect(eight.plain[part] / sixteen.plain[part]).to.be.within(1.6, 2.6);
      expect(Math.abs(sixteen.corrected[part])).to.be.below(Math.abs(sixteen.plain[part]) / 4);
      expect(Math.abs(sixteen.corrected[part])).to.be.below(Math.abs(eight.corrected[part]) / 2.5);
      // Weights make the estimated optimum lower, never higher.
      expect(sixteen.plain[part]).to.be.below(0);
    }
  });

  it('uses all samples for a huge β, one for a tiny one, without overflow', () => {
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

  it('has the correct mean and standard error', () => {
    const p = softmax(REFERENCE, shape);
    // P(max ≤ r)⁴ over the ordered rewards.
    const order = [...REWARDS.keys()].sort((a, b) => REWARDS[a] - REWARDS[b]);
    let cumulative = 0;
    const truth = order.reduce((sum, i) => {
      const before = cumulative ** 4;
      cumulative += p[i];
      return sum + REWARDS[i] * (cumulative ** 4 - before);
    }, 0);
    checkRuns((uniform) => estimateBestOfN([at(REWARDS, draw(REFERENCE, 100, uniform))], 4).reward, truth);
    checkRuns((uniform) => {
      const prompts = Array.from({ length: 20 }, () => at(REWARDS, draw(REFERENCE, 6, uniform)));
      return estimateBestOfN(prompts, 4).reward;
    }, truth);
  });

  it('of one is the mean with its standard error, of all the maximum without one', () => {
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
  const returns = POLICY.map((_, i) => REWARDS[i] - BETA * (logPolicy[i] - logReference[i]));
  const probabilities = softmax(POLICY, shape);
  const objective = returns.reduce((sum, value, i) => sum + probabilities[i] * value, 0);
  const optimum =
    BETA * Math.log(REWARDS.reduce((sum, reward, i) => sum + Math.exp(logReference[i] + reward / BETA), 0));

  it('estimates the gap to the optimum from samples of the policy alone, with its error', () => {
    const samples = (uniform: () => number) => at(returns, draw(POLICY, 400, uniform));
    // Biased downwards by about half the variance of the mean weight over β.
    checkRuns((uniform) => estimateGap([samples(uniform)], BETA).gap, optimum - objective, 0.01);
    checkRuns((uniform) => estimateGap([samples(uniform)], BETA).optimum, optimum, 0.01);
    // The bias that the jackknife leaves is of the order of 1/n².
    checkRuns((uniform) => estimateGap([samples(uniform)], BETA).corrected.gap, optimum - objective, 0.001);
    checkRuns((uniform) => estimateGap([samples(uniform)], BETA).corrected.optimum, optimum, 0.001);
  });

  it('is 0, sample by sample, for the optimal policy, with any number of samples', () => {
    const best = REWARDS.map((reward, i) => logReference[i] + (reward - optimum) / BETA);
    const own = REWARDS.map((reward, i) => reward - BETA * (best[i] - logReference[i]));
    const { gap, effectiveSamples } = estimateGap([[own[0], own[3], own[1]]], BETA);
    expect(gap.mean).to.be.closeTo(0, 1e-12);
    expect(gap.standardError).to.be.closeTo(0, 1e-12);
    expect(effectiveSamples).to.be.closeTo(3, 1e-9);
  });

  it('falls with the policy’s distance, from 64 completions each of several prompts', () => {
    // Policies between the reference and the optimum: the gap is β KL(π ‖ π*), and the estimate finds it.
    const best = REWARDS.map((reward, i) => logReference[i] + (reward - optimum) / BETA);
    let last = Number.POSITIVE_INFINITY;
    for (const mix of [0, 0.5, 0.9, 1]) {
      const logits = best.map((log, i) => mix * log + (1 - mix) * logReference[i]);
      const log = logSoftmax(logits, shape);
      const own = REWARDS.map((reward, i) => reward - BETA * (log[i] - logReference[i]));
      const truth = [...log].reduce((sum, each, i) => sum + Math.exp(each) * BETA * (each - best[i]), 0);
      const several = (uniform: () => number) =>
        estimateGap(
          Array.from({ length: 8 }, () => at(own, draw(logits, 64, uniform))),
          BETA,
        );
      if (mix < 1) checkRuns((uniform) => several(uniform).corrected.gap, truth, 0.002);
      else expect(several(random(3).uniform).gap.mean).to.be.closeTo(0, 1e-12);
      expect(truth).to.be.below(last);
      last = truth;
    }
  });

  it('reports when it is only a lower bound', () => {
    const flat = Array.from({ length: 64 }, (_, i) => i / 64);
    expect(estimateGap([flat], 1).isLowerBound).to.equal(false);
    const steep = estimateGap([flat], 0.01);
    expect(steep.effectiveSamples).to.be.below(5);
    expect(steep.isLowerBound).to.equal(true);
    // At β = 0 there is no optimum to compare with.
    expect(() => estimateGap([flat], 0)).to.throw(RangeError, 'beta is 0');
  });

  it('takes the logarithm within each prompt', () => {
    // Two prompts with different optima: pooled, they would look as if the policy could still improve.
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
