/**
 * Every way to put the KL and the group into a policy gradient, against the gradient that it stands for: the unbiased ones are
 * it, and the biased ones are off by what is known of them. A biased method is right only if it has its own bias. In float64
 * by enumeration, and on the device where there is such a loss.
 */
import { expect } from 'chai';
import { meanOfOthers } from '../../src/cli/fixed-points/expected.ts';
import { METHODS, type Method } from '../../src/cli/fixed-points/methods.ts';
import {
  distribution,
  logRatios,
  returnsOf,
  scoreGradient,
  sum,
  TREE,
  toTokens,
} from '../../src/cli/fixed-points/problem.ts';
import { Table } from '../../src/cli/fixed-points/table.ts';
import { relativeL2 } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';

const policy = distribution(TREE, TREE.policy);
const reference = distribution(TREE, TREE.reference);
const { probabilities } = policy;
/** log π/π_ref of every token, and of every completion. */
const ratios = logRatios(policy, reference);
const whole = ratios.map(sum);
const weighed = (values: readonly (readonly number[])[]) =>
  values.map((tokens, y) => tokens.map((value) => (probabilities[y] as number) * value));
const gradient = (values: readonly (readonly number[])[]) => scoreGradient(TREE, policy, weighed(values));

/** ∇KL(π ‖ π_ref), and ∇E r. */
const trueKl = gradient(toTokens(TREE, whole));
const k3 = (k1: number) => Math.expm1(-k1) + k1;

const cosine = (a: Float64Array, b: Float64Array) => {
  const dot = (x: Float64Array, y: Float64Array) =>
    x.reduce((total, value, i) => total + value * (y[i] as number), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
};

/** Coefficients of tokens, the relative error and the cosine that are known of them. */
const KL_ESTIMATORS: readonly [name: string, coefficients: number[][], error: number, cos: number][] = [
  ['k1 in the reward, whole completion', toTokens(TREE, whole), 0, 1],
  ['k1 in the reward, of what follows', ratios.map((ks) => ks.map((_, t) => sum(ks.slice(t)))), 0, 1],
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

describe('truth: the bias of each gradient', () => {
  for (const [name, coefficients, error, cos] of KL_ESTIMATORS) {
    it(`of the KL by ${name}: ${error}`, () => {
      const found = gradient(coefficients);
      expect(relativeL2(found, trueKl)).to.be.closeTo(error, 5e-5);
      expect(cosine(found, trueKl)).to.be.closeTo(cos, 5e-6);
    });
  }

  it('of the KL by k1 in the loss: nothing is left of it', () => {
    const found = gradient(ratios.map((ks) => ks.map(() => 1)));
    expect(Math.max(...found.map(Math.abs))).to.be.below(1e-15);
  });

  it('RLOO’s, on the device, is ∇J', async () => {
    const method = METHODS.find(({ id }) => id === 'rloo') as Method;
    const table = new Table(await testGpu(), TREE, TREE.policy);
    const found = await table.gradient(method.loss(TREE), method.batch(TREE, policy));
    const returns = returnsOf(TREE, policy);
    const truth = gradient(toTokens(TREE, returns)).map((value) => -value);
    expect(relativeL2(found, truth)).to.be.below(1e-5);
    const credit = meanOfOthers(TREE, policy, returns);
    expect(credit.weight.every((weight) => weight === 1)).to.equal(true);
    table.dispose();
  });
});
