/** Advantages of a case as people write it, compared with numbers computed by hand, and what is refused. */
import { expect } from 'chai';
import { type AdvantageCase, advantagesOfCase } from '../../src/rollout/advantage-case.ts';

const deviation = (values: number[]) => {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
};

function expectAdvantages(input: AdvantageCase, expected: number[]) {
  const found = advantagesOfCase(input);
  expect(found.length).to.equal(expected.length);
  for (const [i, value] of expected.entries()) expect(found[i]).to.be.closeTo(value, 1e-12);
}

describe('rollout/advantage-case', () => {
  it('has GRPO’s defaults: the mean and the standard deviation of the group', () => {
    const [low, high] = [Math.SQRT1_2 + 1e-4, 3 * Math.SQRT1_2 + 1e-4];
    expectAdvantages({ rewards: [[0, 1, 2, 5]], numGenerations: 2 }, [
      -0.5 / low,
      0.5 / low,
      -1.5 / high,
      1.5 / high,
    ]);
    expectAdvantages({ rewards: [0, 1], numGenerations: 2 }, [-0.5 / low, 0.5 / low]);
  });

  it('scales by the batch, or not at all, and accepts true and false', () => {
    const all = deviation([0, 1, 2, 5]) + 1e-4;
    const rewards = [[0, 1, 2, 5]];
    expectAdvantages(
      { rewards, numGenerations: 2, scaleRewards: 'batch' },
      [-0.5, 0.5, -1.5, 1.5].map((x) => x / all),
    );
    expectAdvantages({ rewards, numGenerations: 2, scaleRewards: false }, [-0.5, 0.5, -1.5, 1.5]);
    const group = advantagesOfCase({ rewards, numGenerations: 2, scaleRewards: true });
    expect(group).to.deep.equal(advantagesOfCase({ rewards, numGenerations: 2 }));
  });

  it('sums several rewards with weights, or normalizes each first', () => {
    const rewards = [
      [0, 1],
      [4, null],
    ];
    expectAdvantages({ rewards, numGenerations: 2, rewardWeights: [1, 2], scaleRewards: 'none' }, [
      (8 - 1) / 2,
      (1 - 8) / 2,
    ]);
    const both = [
      [0, 1],
      [4, 2],
    ];
    const score = 0.5 / (Math.SQRT1_2 + 1e-4) - (2 * 1) / (Math.SQRT2 + 1e-4);
    const scale = deviation([-score, score]) + 1e-4;
    expectAdvantages(
      {
        rewards: both,
        numGenerations: 2,
        rewardWeights: [1, 2],
        multiObjectiveAggregation: 'normalize_then_sum',
      },
      [-score / scale, score / scale],
    );
  });

  it('excludes the own reward from the mean for RLOO', () => {
    expectAdvantages({ rewards: [[0, 1, 5]], numGenerations: 3, baseline: 'leave_one_out' }, [-3, -1.5, 4.5]);
  });

  const REFUSED: [what: string, input: unknown, message: string][] = [
    ['no rewards', { numGenerations: 2 }, 'rewards is undefined'],
    ['broken groups', { rewards: [[1, 2, 3]], numGenerations: 2 }, 'there are 3 completions'],
    ['no number of generations', { rewards: [[1, 2]] }, 'numGenerations is undefined'],
    ['text', { rewards: [[1, '2']], numGenerations: 2 }, 'rewards 1 has "2" for completion 2'],
    ['lists of different lengths', { rewards: [[1, 2], [1]], numGenerations: 2 }, 'rewards 2 has 1 number,'],
    [
      'another scale',
      { rewards: [[1, 2]], numGenerations: 2, scaleRewards: 'grup' },
      'scaleRewards is "grup". Did you mean',
    ],
    ['too few weights', { rewards: [[1, 2]], numGenerations: 2, rewardWeights: [1, 2] }, 'rewardWeights'],
    [
      'a name that is no field',
      { rewards: [[1, 2]], numGenerations: 2, scaleReward: 'none' },
      '"scaleReward" is not a field',
    ],
  ];
  for (const [what, input, message] of REFUSED) {
    it(`refuses ${what}`, () => {
      expect(() => advantagesOfCase(input as AdvantageCase, 'here'))
        .to.throw(message)
        .with.property('name', 'InputError');
    });
  }
});
