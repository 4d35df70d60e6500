/**
 * Advantages compared with exact values: averaged over all tuples of completions of a small tree, weighted by their
 * probability, the coefficient of each completion is the one in the policy gradient of its expected reward.
 */
import { expect } from 'chai';
import { AGGREGATIONS, advantages, type Baseline } from '../../src/rollout/advantages.ts';
import { expectClose, random } from '../reference/compare.ts';

/** Probabilities of all sequences of a vocabulary in which token 0 is the end; a policy is given by its softmax per prefix. */
function sequences(vocabulary: number, most: number, seed: number): number[] {
  const { normal } = random(seed);
  const grow = (length: number, probability: number): number[] => {
    const weights = Array.from({ length: vocabulary }, () => Math.exp(normal()));
    const sum = weights.reduce((a, b) => a + b, 0);
    return weights.flatMap((weight, token) => {
      const own = (probability * weight) / sum;
      return token === 0 || length + 1 === most ? [own] : grow(length + 1, own);
    });
  };
  return grow(0, 1);
}

/** Σ over all G-tuples of probability · advantage, for each completion separately. */
function expected(
  probabilities: readonly number[],
  rewards: readonly number[],
  numGenerations: number,
  baseline: Baseline,
): Float64Array {
  const coefficients = new Float64Array(probabilities.length);
  const visit = (tuple: number[], probability: number): void => {
    if (tuple.length < numGenerations) {
      probabilities.forEach((p, y) => void visit([...tuple, y], probability * p));
      return;
    }
    const values = advantages(
      tuple.map((y) => rewards[y]),
      { numGenerations, baseline },
    );
    tuple.forEach((y, i) => {
      coefficients[y] = coefficients[y] + (probability * values[i]) / numGenerations;
    });
  };
  visit([], 1);
  return coefficients;
}

describe('rollout/advantages over all groups', () => {
  for (const [vocabulary, most, numGenerations] of [
    [5, 3, 2],
    [3, 2, 4],
    [2, 2, 5],
  ] as const) {
    const probabilities = sequences(vocabulary, most, vocabulary);
    const { normal } = random(most);
    const rewards = probabilities.map(() => normal());
    const mean = probabilities.reduce((sum, p, y) => sum + p * rewards[y], 0);
    const truth = (y: number) => probabilities[y] * (rewards[y] - mean);
    const name = `${probabilities.length} sequences, groups of ${numGenerations}`;

    it(`leave_one_out is p (r − E r): ${name}`, () => {
      const found = expected(probabilities, rewards, numGenerations, 'leave_one_out');
      for (const [y, value] of found.entries()) expect(value).to.be.closeTo(truth(y), 1e-12);
    });

    it(`group_mean is that, shrunk by 1 − 1/G: ${name}`, () => {
      const found = expected(probabilities, rewards, numGenerations, 'group_mean');
      for (const [y, value] of found.entries())
        expect(value).to.be.closeTo(truth(y) * (1 - 1 / numGenerations), 1e-12);
    });

    it(`none is p r, which has the same gradient: ${name}`, () => {
      const found = expected(probabilities, rewards, numGenerations, 'none');
      for (const [y, value] of found.entries())
        expect(value).to.be.closeTo(probabilities[y] * rewards[y], 1e-12);
    });
  }
});

describe('rollout/advantages', () => {
  const G4 = { numGenerations: 4, baseline: 'leave_one_out' } as const;

  it('are exactly 0 if all rewards of a group are equal', () => {
    expect([...advantages([3, 3, 3, 3], G4)]).to.deep.equal([0, 0, 0, 0]);
  });

  it('exclude unrated completions, and give them 0', () => {
    expect([...advantages([1, null, 4, null], G4)]).to.deep.equal([-3, 0, 3, 0]);
    expect([...advantages([null, null, null, 7], G4)]).to.deep.equal([0, 0, 0, 0]);
  });

  it('are standardized over the batch on request, excluding unrated ones', () => {
    const values = advantages([1, 3, 10, null, 2, 2, 2, 8], { ...G4, normalize: true });
    expect(values[3]).to.equal(0);
    const rated = [...values].filter((_, i) => i !== 3);
    expect(rated.reduce((a, b) => a + b, 0)).to.be.closeTo(0, 1e-12);
    // Their standard deviation is 1 except for what is added before the division.
    expect(rated.reduce((a, b) => a + b * b, 0) / 6).to.be.closeTo(1, 1e-4);
  });

  it('reject an incomplete group', () => {
    expect(() => advantages([1, 2, 3], G4)).to.throw(RangeError, 'group size 4');
  });
});

describe('rollout/advantages scaled and of several rewards', () => {
  const deviation = (values: readonly number[]) => {
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
  };
  const group = { numGenerations: 2, baseline: 'group_mean' } as const;

  it('with group scaling, a group of two only depends on ranks', () => {
    for (const [low, high] of [
      [0, 1],
      [-3, 40],
    ] as const) {
      const [worse, better] = advantages([low, high], { ...group, scale: 'group' });
      // (high − low)/2 over (high − low)/√2 + 1e-4.
      expect(better).to.be.closeTo(Math.SQRT1_2, 1e-4);
      expect(worse).to.be.closeTo(-Math.SQRT1_2, 1e-4);
    }
  });

  it('with batch scaling, groups keep their proportions, and without scaling the units', () => {
    const rewards = [0, 1, 10, 14, null, 3];
    const none = advantages(rewards, { ...group, scale: 'none' });
    expect([...none]).to.deep.equal([-0.5, 0.5, -2, 2, 0, 0]);
    const batch = advantages(rewards, { ...group, scale: 'batch' });
    const by = deviation([0, 1, 10, 14, 3]) + 1e-4;
    expectClose(
      batch,
      [...none].map((value) => value / by),
      { relative: 1e-12, absolute: 0 },
    );
  });

  it('standardizes each reward in its group before it adds them up (GDPO)', () => {
    const first = [0, 1, 10, 14];
    const second = [5, null, null, 7];
    const weighed = { weight: 1, values: first };
    const made = AGGREGATIONS.normalize_then_sum()({
      returns: [5, 1, 10, 21],
      byFunction: new Map([
        ['first', weighed],
        ['second', { weight: 0.5, values: second }],
      ]),
      numGenerations: 2,
    });
    // A completion alone in its group has a standard deviation of 0, and contributes nothing.
    const scores = [0, 1, 0, 1].map((high, i) => {
      const spread = i < 2 ? 0.5 : 2;
      return (high ? spread : -spread) / (Math.SQRT2 * spread + 1e-4);
    });
    const mean = scores.reduce((a, b) => a + b, 0) / 4;
    const by = deviation(scores) + 1e-4;
    expectClose(
      made,
      scores.map((value) => (value - mean) / by),
      { relative: 1e-12, absolute: 1e-15 },
    );
  });

  it('excludes unrated completions from all statistics', () => {
    const made = AGGREGATIONS.normalize_then_sum()({
      returns: [null, 1, 3, 2],
      byFunction: new Map([['only', { weight: 1, values: [null, 1, 3, 2] }]]),
      numGenerations: 4,
    });
    expect(made[0]).to.equal(0);
    const others = Array.from(made).slice(1);
    expect(others.reduce((a, b) => a + b, 0)).to.be.closeTo(0, 1e-12);
  });
});
