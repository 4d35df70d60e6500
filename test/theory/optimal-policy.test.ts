/** Theorem 1, reward → policy, compared with float64: π*, Z, the optimum, its limits in β, and masks. */
import { expect } from 'chai';
import { Tape } from '../../src/tensor/tape.ts';
import { optimalPolicy } from '../../src/theory/optimal-policy.ts';
import { expectClose } from '../reference/compare.ts';
import * as reference from '../reference/theory.ts';
import { testGpu } from '../support/gpu.ts';
import { type Cases, onDevice, oneCase, randomCases, SHAPES } from './cases.ts';

async function optimum(cases: Cases) {
  const gpu = await testGpu();
  const given = onDevice(gpu, cases);
  const tape = Tape.forInference(gpu);
  const result = optimalPolicy(tape, given);
  const [logPolicy, logPartition, best] = await Promise.all(
    [result.logPolicy, result.logPartition, result.optimum].map((tensor) => tensor.toArray(gpu)),
  );
  tape.dispose();
  for (const tensor of Object.values(given)) gpu.pool.release(tensor);
  return { logPolicy: logPolicy, logPartition: logPartition, optimum: best };
}

/** One prompt and one β: π*, log Z, β log Z. */
async function one(beta: number, ...given: Parameters<typeof oneCase>) {
  const {
    logPolicy,
    logPartition,
    optimum: best,
  } = await optimum({
    ...oneCase(...given),
    beta: Float32Array.of(beta),
  });
  return { policy: logPolicy.map(Math.exp), logPartition: logPartition[0], optimum: best[0] };
}

describe('the optimal policy', () => {
  for (const [index, shape] of SHAPES.entries()) {
    it(`equals that of float64, ${shape.rows} prompts of ${shape.cols} answers`, async () => {
      const cases = randomCases(index + 1, shape);
      const actual = await optimum(cases);
      const truth = reference.optimalPolicy(cases.reference, cases.rewards, cases.beta, shape);
      // Log-probabilities are sums of terms of up to 2·10⁴, rounded relative to the largest; near 0 with an error of two
      // rounding units of 1.
      expectClose(actual.logPolicy, truth.logPolicy, { absolute: 5e-6, relative: 1e-6, label: 'log π*' });
      expectClose(actual.logPolicy.map(Math.exp), truth.logPolicy.map(Math.exp), {
        absolute: 1e-7,
        relative: 1e-5,
        label: 'π*',
      });
      // log Z is near 0 if f/β is: it is then a sum that cancels, of terms of the size of the largest |f|/β.
      const largest = Array.from({ length: shape.rows }, (_, n) =>
        cases.rewards
          .subarray(n * shape.cols, (n + 1) * shape.cols)
          .reduce((a, b) => Math.max(a, Math.abs(b)), 0),
      );
      const beta = (n: number) => cases.beta[n];
      const share = (values: ArrayLike<number>, by: (n: number) => number) =>
        Float64Array.from(values, (each, n) => each / (largest[n] + 1e-30) / by(n));
      const perBeta = (n: number) => 1 / beta(n);
      expectClose(share(actual.logPartition, perBeta), share(truth.logPartition, perBeta), {
        absolute: 1e-6,
        label: 'log Z',
      });
      expectClose(
        share(actual.optimum, () => 1),
        share(truth.optimum, () => 1),
        {
          absolute: 1e-6,
          label: 'β log Z',
        },
      );
    });
  }

  const reward = [1, 3, 3, -2];
  const logits = [2, 0, 1, 1];
  const weights = logits.map((z) => Math.exp(z));
  const total = weights.reduce((a, b) => a + b);
  const prior = weights.map((weight) => weight / total);

  it('is the reference on the best answers as β → 0', async () => {
    const both = prior[1] + prior[2];
    for (const beta of [1e-2, 1e-6, 1e-30]) {
      const { policy, optimum: best } = await one(beta, logits, reward);
      expectClose(policy, [0, prior[1] / both, prior[2] / both, 0], { absolute: 1e-6, relative: 1e-6 });
      expect(best).to.be.closeTo(3 + beta * Math.log(both), 3e-6);
    }
  });

  it('never gives weight to answers that the reference excludes, whatever their reward', async () => {
    for (const beta of [1e-30, 1e-3, 1, 1e30]) {
      const { policy } = await one(beta, [0, -Infinity, 0], [1, 1e8, 2]);
      expect(policy[1]).to.equal(0);
      expect(policy[0] + policy[2]).to.be.closeTo(1, 1e-6);
    }
  });

  it('is the reference as β → ∞, and β log Z its mean reward', async () => {
    const mean = prior.reduce((sum, p, i) => sum + p * reward[i], 0);
    for (const beta of [1e7, 1e12, 1e30]) {
      const { policy, optimum: best, logPartition } = await one(beta, logits, reward);
      expectClose(policy, prior, { absolute: 1e-7, relative: 1e-5 });
      // The next term, half the variance of the reward divided by β, is below 1e-6; so is the precision of float32 near 3.
      expect(best).to.be.closeTo(mean, 2e-6);
      expect(logPartition * beta).to.be.closeTo(mean, 2e-6);
    }
  });

  it('is invariant to a constant in the reward, which only shifts β log Z', async () => {
    const plain = await one(0.5, logits, reward);
    const moved = await one(
      0.5,
      logits,
      reward.map((r) => r + 4096),
    );
    expectClose(moved.policy, plain.policy, { absolute: 0 });
    expect(moved.optimum - plain.optimum).to.be.closeTo(4096, 5e-4);
  });

  it('lets a reward of −∞ exclude an answer, and reports if none is left', async () => {
    const forbidden = await one(0.5, [0, 0, 0], [1, -Infinity, 1]);
    expectClose(forbidden.policy, [0.5, 0, 0.5], { absolute: 1e-6 });
    // Z = ⅔ e².
    expect(forbidden.logPartition).to.be.closeTo(2 + Math.log(2 / 3), 1e-6);
    for (const [given, rewards] of [
      [
        [-Infinity, -Infinity],
        [1, 2],
      ],
      [
        [0, 0],
        [-Infinity, -Infinity],
      ],
    ] as const) {
      const { policy, logPartition, optimum: best } = await one(0.5, given, rewards);
      expect([...policy, logPartition, best]).to.deep.equal([0, 0, -Infinity, -Infinity]);
    }
  });

  it('propagates a NaN to the whole row', async () => {
    const { policy, optimum: best } = await one(0.5, [0, 0, 0], [1, Number.NaN, 1]);
    expect([...policy, best].every(Number.isNaN)).to.equal(true);
  });
});
