/**
 * The predicted fixed points, computed from their equations alone: the known digits of each, and that unbiased methods are
 * predicted to reach β log Z.
 */
import { expect } from 'chai';
import { groupsOfTwo, meanOfOthers } from '../../src/studies/fixed-points/expected.ts';
import { balanced, collapsed, withValues } from '../../src/studies/fixed-points/predictions.ts';
import { BANDIT, optimumOf, TREE } from '../../src/studies/fixed-points/problem.ts';
import { random } from '../reference/compare.ts';

describe('truth: predictions', () => {
  it('a token-level KL in the loss reaches less than β log Z, k3 less than k2', () => {
    expect(balanced(TREE, meanOfOthers, 'k2')).to.be.closeTo(1.258816, 1e-6);
    expect(balanced(TREE, meanOfOthers, 'k3')).to.be.closeTo(1.164463, 1e-6);
  });

  it('on completions of one token k2 is exact, and k3 is not', () => {
    expect(balanced(BANDIT, meanOfOthers, 'k2')).to.be.closeTo(optimumOf(BANDIT), 1e-12);
    expect(balanced(BANDIT, meanOfOthers, 'k3')).to.be.closeTo(0.3308354985990713, 1e-12);
  });

  it('including the own reward in a mean of two doubles β', () => {
    const halved = balanced({ ...BANDIT }, groupsOfTwo({ baseline: 'group_mean' }, 'sum'), 'k2');
    // J at β of the policy that is optimal at 2 β.
    const { reference, rewards, beta } = BANDIT;
    const scores = rewards.map((reward, y) => reference[y] + reward / (2 * beta));
    const total = scores.reduce((sum, score) => sum + Math.exp(score), 0);
    const normalizer = reference.reduce((sum, logit) => sum + Math.exp(logit), 0);
    const objective = scores.reduce((sum, score, y) => {
      const p = Math.exp(score) / total;
      const base = Math.exp(reference[y]) / normalizer;
      return sum + p * (rewards[y] - beta * Math.log(p / base));
    }, 0);
    expect(halved).to.be.closeTo(objective, 1e-12);
  });

  it('a wrong value has no effect at λ = 1, and more the smaller λ is', () => {
    const { normals } = random(2);
    const wrong = [...normals(TREE.prefixes.length)];
    const optimum = optimumOf(TREE);
    expect(withValues(TREE, wrong, 1)).to.be.closeTo(optimum, 1e-12);
    const lost = [0.95, 0.5, 0].map((lam) => optimum - withValues(TREE, wrong, lam));
    expect(lost[0]).to.be.above(1e-4);
    expect(lost).to.deep.equal([...lost].sort((a, b) => a - b));
  });

  it('a collapsed policy gets the best reward, minus its KL penalty', () => {
    expect(collapsed(TREE)).to.be.closeTo(0.66044, 1e-4);
    expect(collapsed(BANDIT)).to.be.below(optimumOf(BANDIT));
  });
});
