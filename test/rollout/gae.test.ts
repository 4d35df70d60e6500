/**
 * Advantages of tokens compared with exact values, by enumeration in float64: on a tree of 85 texts the expected gradient
 * with GAE is that of objective (1), or differs from it by as much as numpy computed, for exact, missing and wrong values.
 */
import { expect } from 'chai';
import { generalizedAdvantages, tokenRewards, valueTargets, whitened } from '../../src/rollout/gae.ts';
import tree from '../fixtures/ppo-tree.json' with { type: 'json' };
import { random, relativeL2 } from '../reference/compare.ts';

const VOCABULARY = 5;
const { beta: BETA, texts, prefixes } = tree;
const place = new Map(prefixes.map((prefix, i) => [prefix.join(), i]));
const logPolicy = logSoftmaxes(tree.policy);
const logReference = logSoftmaxes(tree.reference);

/** The states and tokens of each text, its probability, and the rewards of its tokens. */
const walks = texts.map((text, y) => {
  const states = text.map((_, t) => place.get(text.slice(0, t).join())!);
  const at = (table: Float64Array, t: number) => table[states[t] * VOCABULARY + text[t]];
  const probability = Math.exp(text.reduce((sum, _, t) => sum + at(logPolicy, t), 0));
  const logRatios = text.map((_, t) => at(logPolicy, t) - at(logReference, t));
  return {
    text,
    states,
    probability,
    rewards: tokenRewards(logRatios, tree.rewards[y], { klCoef: BETA }),
  };
});

const VALUES: Readonly<Record<string, readonly number[]>> = {
  exact: exactValues(),
  zero: prefixes.map(() => 0),
  wrong: tree.wrongValues,
};

describe('rollout/gae', () => {
  it('is the sum of future rewards minus the value at λ = 1', () => {
    const { normals } = random(3);
    for (const length of [1, 2, 7, 300]) {
      const rewards = normals(length, 1);
      const values = normals(length, 1);
      const found = generalizedAdvantages(rewards, values, { gamma: 1, lam: 1 });
      for (let t = 0, left = sum(rewards); t < length; left -= rewards[t], t++)
        expect(found[t]).to.be.closeTo(left - values[t], 1e-12 * length);
    }
  });

  it('is one step at λ = 0, and discounts by γ', () => {
    const found = generalizedAdvantages([1, 2, 4], [8, 16, 32], { gamma: 0.5, lam: 0 });
    expect([...found]).to.deep.equal([1 + 8 - 8, 2 + 16 - 16, 4 - 32]);
    const discounted = generalizedAdvantages([1, 2, 4], [0, 0, 0], { gamma: 0.5, lam: 1 });
    expect([...discounted]).to.deep.equal([1 + 1 + 1, 2 + 2, 4]);
    const both = generalizedAdvantages([1, 2, 4], [8, 16, 32], { gamma: 0.5, lam: 0.5 });
    expect([...both]).to.deep.equal([1 + 0.25 * (2 + 0.25 * -28), 2 + 0.25 * -28, -28]);
    expect([...valueTargets(found, [8, 16, 32])]).to.deep.equal([9, 18, 4]);
    expect(() => generalizedAdvantages([1, 2], [1], { gamma: 1, lam: 1 })).to.throw(
      RangeError,
      '1 values for 2 rewards',
    );
  });

  it('puts the score on the last token, or on the state after it', () => {
    expect([...tokenRewards([2, 4], 3, { klCoef: 0.5 })]).to.deep.equal([-1, 1]);
    expect([...tokenRewards([2, 4], 3, { klCoef: 0.5, states: 3 })]).to.deep.equal([-1, -2, 3]);
  });

  for (const { values, lam, error, cosine } of tree.gradients) {
    it(`has the error ${error} with ${values} values and λ = ${lam}`, () => {
      const found = gradient(advantagesOf(values, lam));
      const truth = trueGradient();
      expect(relativeL2(found, truth)).to.be.closeTo(error, 0.5e-4);
      expect(cosineOf(found, truth)).to.be.closeTo(cosine, 0.5e-4);
      const isUnbiased = values === 'exact' || lam === 1;
      if (isUnbiased) expect(relativeL2(found, truth)).to.be.below(1e-12);
      else expect(error).to.be.above(0.04);
    });
  }

  it('keeps the direction of the gradient if a whole population is whitened', () => {
    // With exact values the mean is 0 at every state already; without, it shifts all tokens equally.
    const weights = walks.map(({ probability }) => probability);
    for (const values of ['exact', 'zero']) {
      const advantages = advantagesOf(values, 1);
      const tokens = sum(advantages.map((list, y) => list.length * weights[y]));
      const mean = sum(advantages.map((list, y) => sum(list) * weights[y])) / tokens;
      const truth = trueGradient();
      const shifted = gradient(advantages.map((list) => list.map((x) => x - mean)));
      expect(relativeL2(shifted, truth), values).to.be.below(1e-12);
    }
  });

  it('whitens to mean 0 and variance 1, with Bessel’s correction, or keeps the mean', () => {
    const { normals } = random(4);
    const lists = [normals(3, 2), normals(40, 2), normals(1, 2)].map((list) => list.map((x) => x + 5));
    const all = lists.flatMap((list) => [...list]);
    const mean = sum(all) / all.length;
    const flat = whitened(lists).flatMap((list) => [...list]);
    expect(sum(flat) / flat.length).to.be.closeTo(0, 1e-14);
    expect(sum(flat.map((x) => x * x)) / (flat.length - 1)).to.be.closeTo(1, 1e-7);
    const kept = whitened(lists, { shiftMean: false }).flatMap((list) => [...list]);
    for (const [i, x] of kept.entries()) expect(x).to.be.closeTo(flat[i] + mean, 1e-14);
    expect(whitened([[3], []]).map((list) => [...list])).to.deep.equal([[0], []]);
    // If all are equal, the result stays finite: TRL adds 1e-8 to the variance.
    expect([...whitened([[2, 2]])[0]]).to.deep.equal([0, 0]);
  });
});

function advantagesOf(values: string, lam: number): Float64Array[] {
  return walks.map(({ states, rewards }) =>
    generalizedAdvantages(
      rewards,
      states.map((state) => VALUES[values]?.[state]),
      { gamma: 1, lam },
    ),
  );
}

/** Σ over texts of probability · coefficient · ∇ log π of each token, by the logits of all states. */
function gradient(coefficients: readonly ArrayLike<number>[]): Float64Array {
  const total = new Float64Array(logPolicy.length);
  for (const [y, { text, states, probability }] of walks.entries()) {
    for (const [t, state] of states.entries()) {
      const weight = probability * coefficients[y]?.[t];
      for (let token = 0; token < VOCABULARY; token++) {
        const at = state * VOCABULARY + token;
        total[at] = total[at] + weight * ((token === text[t] ? 1 : 0) - Math.exp(logPolicy[at]));
      }
    }
  }
  return total;
}

/** ∇J: every token of a text gets the whole return of the text. */
function trueGradient(): Float64Array {
  return gradient(walks.map(({ text, rewards }) => text.map(() => sum(rewards))));
}

/** The expected remaining reward from each state. */
function exactValues(): number[] {
  const [earned, visits] = [prefixes.map(() => 0), prefixes.map(() => 0)];
  for (const { states, rewards, probability } of walks) {
    let left = sum(rewards);
    for (const [t, state] of states.entries()) {
      earned[state] = earned[state] + probability * left;
      visits[state] = visits[state] + probability;
      left -= rewards[t];
    }
  }
  return earned.map((value, state) => value / visits[state]);
}

function logSoftmaxes(logits: readonly number[]): Float64Array {
  return Float64Array.from(logits, (logit, i) => {
    const row = logits.slice(i - (i % VOCABULARY), i - (i % VOCABULARY) + VOCABULARY);
    return logit - Math.log(sum(row.map(Math.exp)));
  });
}

function cosineOf(a: Float64Array, b: Float64Array): number {
  const dot = (x: Float64Array, y: Float64Array) => sum(x.map((value, i) => value * y[i]));
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

function sum(values: ArrayLike<number>): number {
  return Array.from(values).reduce((a, b) => a + b, 0);
}
