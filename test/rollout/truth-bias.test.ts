/**
 * Every way to put the KL and the group into a policy gradient, compared with the gradient that it estimates: unbiased ones
 * equal it, and biased ones differ by their known bias. In float64 by enumeration, and on the device if there is such a
 * loss.
 */
import { expect } from 'chai';
import { FAMILIES } from '../../src/losses/families.ts';
import { lossOf, type TrainingLoss } from '../../src/losses/family.ts';
import { type BatchRule, policyGradient } from '../../src/studies/fixed-points/batches.ts';
import {
  groupsOfTwo,
  meanAdvantages,
  meanOfOthers,
  type PairOptions,
  perToken,
} from '../../src/studies/fixed-points/expected.ts';
import { METHODS } from '../../src/studies/fixed-points/methods.ts';
import {
  distribution,
  logRatios,
  optimumOf,
  returnsOf,
  scoreGradient,
  sum,
  TREE,
  toTokens,
} from '../../src/studies/fixed-points/problem.ts';
import { Table } from '../../src/studies/fixed-points/table.ts';
import { relativeL2 } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';

const policy = distribution(TREE, TREE.policy);
const reference = distribution(TREE, TREE.reference);
const { probabilities } = policy;
/** log π/π_ref of every token, and of every completion. */
const ratios = logRatios(policy, reference);
const whole = ratios.map(sum);
const weighed = (values: readonly (readonly number[])[]) =>
  values.map((tokens, y) => tokens.map((value) => probabilities[y] * value));
const gradient = (values: readonly (readonly number[])[]) => scoreGradient(TREE, policy, weighed(values));

/** ∇KL(π ‖ π_ref), and ∇E r. */
const trueKl = gradient(toTokens(TREE, whole));
const trueReward = gradient(toTokens(TREE, TREE.rewards));
/** Relative error of float32 sums. */
const ON_DEVICE = 1e-5;
const STANDARDIZED = { baseline: 'group_mean', scale: 'group' } as const;
const k3 = (k1: number) => Math.expm1(-k1) + k1;

const cosine = (a: Float64Array, b: Float64Array) => {
  const dot = (x: Float64Array, y: Float64Array) => x.reduce((total, value, i) => total + value * y[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
};

/** Coefficients of tokens, and the relative error and the cosine that are known for them. */
const KL_ESTIMATORS: readonly [name: string, coefficients: number[][], error: number, cos: number][] = [
  ['k1 in the reward, whole completion', toTokens(TREE, whole), 0, 1],
  ['k1 in the reward, of the following tokens', ratios.map((ks) => ks.map((_, t) => sum(ks.slice(t)))), 0, 1],
  ['k2 of a token in the loss, k3 times the ratio', ratios, 0.1403, 0.99051],
  ['k3 of a token in the loss', ratios.map((ks) => ks.map((k1) => -Math.expm1(-k1))), 0.3613, 0.96948],
  [
    'k3 in the reward',
    toTokens(
      TREE,
      ratios.map((ks) => sum(ks.map(k3))),
    ),
    1.2349,
    -0.54581,
  ],
];

/** Loss types and advantages of groups of two, and the relative error and the cosine to ∇E r that are known for them. */
const GROUPS: readonly [name: string, lossType: string, options: PairOptions, error: number, cos: number][] =
  [
    ['the mean of the others', 'luspo', { baseline: 'leave_one_out' }, 0, 1],
    ['a mean that includes the own reward', 'luspo', { baseline: 'group_mean' }, 0.5, 1],
    ['standardized', 'luspo', STANDARDIZED, 0.6425, 0.97732],
    ['standardized, by each length (GRPO)', 'grpo', STANDARDIZED, 0.8721, 0.91787],
    ['by each length', 'grpo', { baseline: 'group_mean' }, 0.8242, 0.98329],
    ['by the mean length', 'dapo', { baseline: 'group_mean' }, 0.8197, 0.99869],
    ['standardized, by the mean length (TRL’s defaults)', 'dapo', STANDARDIZED, 0.8683, 0.97311],
  ];

describe('truth: the bias of each gradient', () => {
  for (const [name, coefficients, error, cos] of KL_ESTIMATORS) {
    it(`of the KL by ${name}: ${error}`, () => {
      const found = gradient(coefficients);
      expect(relativeL2(found, trueKl)).to.be.closeTo(error, 5e-5);
      expect(cosine(found, trueKl)).to.be.closeTo(cos, 5e-6);
    });
  }

  it('of the KL by k1 in the loss: its gradient is zero', () => {
    const found = gradient(ratios.map((ks) => ks.map(() => 1)));
    expect(Math.max(...found.map(Math.abs))).to.be.below(1e-15);
  });

  it('of A*-PO is zero, whatever the value of the regression: −2β ∇J', () => {
    const { beta } = TREE;
    for (const value of [optimumOf(TREE), 0, -3]) {
      const residual = whole.map((k1, y) => 2 * beta * (beta * k1 - (TREE.rewards[y] - value)));
      const truth = gradient(toTokens(TREE, returnsOf(TREE, policy))).map((slope) => -2 * beta * slope);
      expect(relativeL2(gradient(toTokens(TREE, residual)), truth)).to.be.below(1e-14);
    }
  });

  it('RLOO’s, on the device, is ∇J', async () => {
    const { loss, batch } = METHODS.find(({ id }) => id === 'rloo')!;
    const found = await onDevice(loss(TREE), batch);
    const truth = gradient(toTokens(TREE, returnsOf(TREE, policy)));
    expect(relativeL2(found, truth)).to.be.below(ON_DEVICE);
  });

  for (const id of ['ppo-1', 'ppo-exact', 'a2po', 'a2po-wrong']) {
    const { name, loss, batch } = METHODS.find((method) => method.id === id)!;
    it(`is zero, on the device, for ${name}`, async () => {
      const found = await onDevice(loss(TREE), batch);
      const scale = id.startsWith('a2po') ? 2 * TREE.beta : 1;
      const truth = gradient(toTokens(TREE, returnsOf(TREE, policy))).map((slope) => scale * slope);
      expect(relativeL2(found, truth)).to.be.below(ON_DEVICE);
    });
  }

  it('PPO’s, on the device, is that of its estimate with wrong values', async () => {
    const { loss, batch } = METHODS.find(({ id }) => id === 'ppo-0')!;
    const found = await onDevice(loss(TREE), batch);
    const { advantage } = batch(TREE, policy).columns;
    expect(relativeL2(found, gradient(advantage as number[][]))).to.be.below(ON_DEVICE);
    const truth = gradient(toTokens(TREE, returnsOf(TREE, policy)));
    expect(relativeL2(found, truth)).to.be.above(0.5);
  });

  it('online DPO’s, on the device, moves each pair to the margin of its labels', async () => {
    const { loss, batch } = METHODS.find(({ id }) => id === 'online-dpo-sampled')!;
    const found = await onDevice(loss(TREE), batch);
    const { beta, rewards } = TREE;
    const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
    /** Σ over the other completion of p · (label − the policy's probability of it). */
    const pulls = whole.map((own, y) =>
      sum(
        whole.map((other, z) => {
          const label = sigmoid(rewards[y] - rewards[z]);
          return probabilities[z] * beta * (label - sigmoid(beta * (own - other)));
        }),
      ),
    );
    expect(relativeL2(found, gradient(toTokens(TREE, pulls)))).to.be.below(ON_DEVICE);
  });

  for (const [corrected, error, cos] of [
    [true, 0.1403, 0.99051],
    [false, 0.3613, 0.96948],
  ] as const) {
    it(`of the KL in GRPO’s loss, on the device, ${corrected ? 'times the ratio' : 'as it is'}: ${error}`, async () => {
      const settings = { lossType: 'luspo', beta: 1, useBiasCorrectionKl: corrected };
      const nothing = () => TREE.rewards.map(() => 0);
      const found = await onDevice(lossOf(FAMILIES.grpo, settings), policyGradient(meanOfOthers, nothing));
      const slope = corrected ? (k1: number) => k1 : (k1: number) => -Math.expm1(-k1);
      const truth = gradient(ratios.map((ks) => ks.map((k1) => -slope(k1))));
      expect(relativeL2(found, truth)).to.be.below(ON_DEVICE);
      const kl = found.map((value) => -value);
      expect(relativeL2(kl, trueKl)).to.be.closeTo(error, 5e-5 + ON_DEVICE);
      expect(cosine(kl, trueKl)).to.be.closeTo(cos, 5e-6 + ON_DEVICE);
    });
  }

  for (const [name, lossType, options, error, cos] of GROUPS) {
    it(`of the reward in groups of two, ${name}: ${error}`, async () => {
      const loss = lossOf(FAMILIES.grpo, { lossType, beta: 0 });
      const { over = 'batch' } = loss.terms[0].loss;
      const credit = groupsOfTwo(options, over);
      const rewards = () => TREE.rewards;
      const found = await onDevice(loss, policyGradient(credit, rewards));
      const rule = over === 'sequence' ? perToken(credit) : credit;
      const truth = gradient(toTokens(TREE, meanAdvantages(rule(TREE, policy, TREE.rewards))));
      expect(relativeL2(found, truth)).to.be.below(ON_DEVICE);
      expect(relativeL2(found, trueReward)).to.be.closeTo(error, 5e-5 + ON_DEVICE);
      expect(cosine(found, trueReward)).to.be.closeTo(cos, 5e-6 + ON_DEVICE);
    });
  }
});

/** The direction of a step on the device, up to its length. */
async function onDevice(loss: TrainingLoss, batch: BatchRule): Promise<Float64Array> {
  const table = new Table(await testGpu(), TREE, TREE.policy);
  const found = await table.gradient(loss, batch(TREE, policy));
  table.dispose();
  return Float64Array.from(found, (value) => -value);
}
