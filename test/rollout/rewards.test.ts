/** Rewards: how several are added, the arguments of each, and invalid results. */
import { expect } from 'chai';
import { REWARDS, repeatedShare } from '../../src/rollout/built-in-rewards.ts';
import { type BatchReward, type RewardBatch, rate, weighedRewards } from '../../src/rollout/rewards.ts';
import { expectRefused } from '../io/refused.ts';

const BATCH: Omit<RewardBatch, 'logMetric'> = {
  prompts: ['2 + 2', '2 + 2', 'Say hi'],
  completions: ['<think>easy</think>\nso\n4.', '5', [{ role: 'assistant', content: 'I love it' }]],
  completionIds: [
    [1, 2, 3, 1, 2, 3],
    [4, 4, 4, 4],
    [5, 6],
  ],
  promptIds: [[7], [7], [8]],
  tokenizer: undefined!,
  columns: { solution: ['4', '4', undefined] },
  finished: ['eos', 'length', 'eos'],
  step: 3,
};
const IN_TIME = { timeout: 5 };
const named = (name: string, reward: BatchReward) => Object.defineProperty(reward, 'name', { value: name });
const built = (name: string) => named(name, REWARDS[name]({ maxCompletionLength: 5 }));

describe('rollout/rewards', () => {
  it('weights several, ignores null ratings, and logs', async () => {
    const one = named('one', () => [1, null, null]);
    const two = named('two', async ({ step, logMetric }) => {
      logMetric('two/step', step ?? 0);
      return [10, 20, null];
    });
    const rated = await rate(weighedRewards([one, two], [2, 0.5]), BATCH, IN_TIME);
    expect(rated.rewards).to.deep.equal([7, 10, null]);
    expect([...rated.byFunction]).to.deep.equal([
      ['one', [1, null, null]],
      ['two', [10, 20, null]],
    ]);
    expect(rated.metrics).to.deep.equal({ 'two/step': 3 });
  });

  const failing: [string, BatchReward, string[]][] = [
    ['a wrong count', () => [1, 2], ['broken', 'returned 2 values for 3 completions']],
    ['NaN', () => [1, Number.NaN, 2], ['broken', 'completion 2', 'null']],
    ['text', () => ['a', 'b', 'c'] as never, ['broken', 'completion 1']],
    ['nothing', () => undefined!, ['broken', 'undefined']],
    [
      'an error',
      () => {
        throw new Error('out of cheese');
      },
      ['broken', 'out of cheese'],
    ],
    ['a rejection', () => Promise.reject(new Error('no answer')), ['broken', 'no answer']],
  ];
  for (const [what, reward, words] of failing) {
    it(`refuses ${what}, by the function's name`, () =>
      expectRefused(
        () => rate(weighedRewards([named('broken', reward)]), BATCH, IN_TIME),
        ...(words as [string]),
      ));
  }

  it('enforces its timeout, and stops on a signal', async () => {
    const slow = weighedRewards([named('slow', () => new Promise<never>(() => {}))]);
    await expectRefused(() => rate(slow, BATCH, { timeout: 0.01 }), 'slow', '0.01 s', 'rewardTimeout');
    const stop = new AbortController();
    const waiting = rate(slow, BATCH, { timeout: 5, signal: stop.signal });
    stop.abort(new Error('enough'));
    expect(await waiting.catch((error: Error) => error.message)).to.equal('enough');
    const late = rate(slow, BATCH, { timeout: 5, signal: stop.signal });
    expect(await late.catch((error: Error) => error.message)).to.equal('enough');
  });

  it('rejects an empty list, duplicate names, and invalid weights', async () => {
    const one = named('one', () => [1]);
    await expectRefused(async () => weighedRewards([]), 'rewards');
    await expectRefused(async () => weighedRewards([one, one]), 'one');
    await expectRefused(async () => weighedRewards([one], [1, 2]), 'rewardWeights', '2 entries');
    expect(weighedRewards([() => [1]])[0].name).to.equal('reward_1');
  });
});

describe('rollout/built-in-rewards', () => {
  const values: Record<string, (number | null)[]> = {
    sentiment: [1, 0, 3],
    length: [6, 4, 2],
    // Trigrams of the first: 123 231 312 123; of the second 444 twice.
    repetition: [-0.25, -0.5, 0],
    // A fifth of 5 tokens is 1: from 4 tokens on the reward falls.
    overlong: [-1, 0, 0],
    think_format: [1, 0, 0],
    accuracy: [1, 0, null],
  };
  for (const [name, expected] of Object.entries(values)) {
    it(name, async () => {
      const { byFunction } = await rate(weighedRewards([built(name)]), BATCH, IN_TIME);
      const found = byFunction.get(name)!.map((value) => value && Number(value.toFixed(6)));
      expect(found.map((value) => (value === null ? null : value + 0))).to.deep.equal(expected);
    });
  }

  it('have one name each', () =>
    expect(Object.keys(REWARDS).toSorted()).to.deep.equal(Object.keys(values).toSorted()));

  it('name the column that accuracy needs', () =>
    expectRefused(
      () => rate(weighedRewards([built('accuracy')]), { ...BATCH, columns: {} }, IN_TIME),
      'solution',
    ));

  it('count repeated n-grams', () => {
    expect(repeatedShare([1, 2], 3)).to.equal(0);
    expect(repeatedShare([1, 1, 1, 1, 1], 3)).to.be.closeTo(2 / 3, 1e-12);
  });
});
