/** Labels of pairs: greedy and random, ties, penalties, and which answers of a judge are valid. */
import { expect } from 'chai';
import { Random } from '../../src/data/random.ts';
import { type Judge, JudgeLabels } from '../../src/rollout/judge.ts';
import { LABEL_RULES, RewardLabels } from '../../src/rollout/labels.ts';
import { type BatchReward, weighedRewards } from '../../src/rollout/rewards.ts';
import type { Samples } from '../../src/rollout/sampling.ts';

/** Pairs of completions of one token each. */
function samplesOf(
  pairs: readonly (readonly [number, number])[],
  finished: 'eos' | 'length' = 'eos',
): Samples {
  return {
    tokenizer: undefined!,
    prompts: pairs.map((_, p) => ({ ids: [p + 1], row: { prompt: `p${p}`, columns: { topic: p } } })),
    examples: pairs.map(([a, b], p) => ({ prompt: [p + 1], completions: [[a], [b]] })),
    completions: pairs.flatMap((pair) => pair.map((id) => `t${id}`)),
    finished: pairs.flatMap(() => [finished, 'eos'] as const),
  };
}

const SETTINGS = { labels: 'greedy', missingEosPenalty: null, rewardTimeout: 10, seed: 3 };
const options = (step = 1, signal?: AbortSignal) => {
  const kept: number[] = [];
  return { step, signal, kept, keep: async () => void kept.push(kept.length) };
};
const byId: BatchReward = ({ completionIds }) => completionIds.map(([id]) => (id === 9 ? null : id));

describe('rollout/labels', () => {
  it('greedy: the first of equals, otherwise the higher reward, and undecided if one is unrated', async () => {
    const labels = new RewardLabels(weighedRewards([byId]), SETTINGS);
    const { better, rewards, metrics } = await labels.label(
      samplesOf([
        [1, 1],
        [1, 4],
        [5, 2],
        [9, 1],
      ]),
      options(),
    );
    expect(better).to.deep.equal([0, 1, 0, -1]);
    expect(rewards).to.deep.equal([1, 1, 1, 4, 5, 2, null, 1]);
    expect(metrics['objective/scores_margin']).to.be.closeTo((0 + 3 + 3) / 3, 1e-12);
    expect(metrics['objective/scores']).to.be.closeTo(15 / 7, 1e-12);
    expect(metrics).to.not.have.any.keys('kl', 'kl/sequence', 'objective');
  });

  it('subtracts the penalty from a completion without an end token', async () => {
    const labels = new RewardLabels(weighedRewards([byId]), { ...SETTINGS, missingEosPenalty: 1.5 });
    const { better, rewards } = await labels.label(samplesOf([[3, 2]], 'length'), options());
    expect(rewards).to.deep.equal([1.5, 2]);
    expect(better).to.deep.equal([1]);
  });

  it('sampled: the first with probability σ(r₁ − r₂), deterministic for a seed and step', async () => {
    const random = new Random(1);
    let first = 0;
    const n = 20_000;
    for (let i = 0; i < n; i++) if (LABEL_RULES.sampled(0.3, 1.1, random.uniform()) === 0) first++;
    const p = 1 / (1 + Math.exp(0.8));
    expect(Math.abs(first / n - p)).to.be.below(4 * Math.sqrt((p * (1 - p)) / n));

    const many = samplesOf(Array.from({ length: 64 }, () => [1, 1] as const));
    const drawn = async (seed: number, step: number) => {
      const labels = new RewardLabels(weighedRewards([byId]), { ...SETTINGS, labels: 'sampled', seed });
      return (await labels.label(many, options(step))).better;
    };
    expect(await drawn(3, 1)).to.deep.equal(await drawn(3, 1));
    expect(await drawn(3, 1)).to.not.deep.equal(await drawn(3, 2));
    expect(await drawn(3, 1)).to.not.deep.equal(await drawn(4, 1));
    expect(await drawn(3, 1))
      .to.include(0)
      .and.include(1);
  });
});

describe('rollout/judge', () => {
  const PAIRS = [
    [1, 2],
    [2, 1],
    [3, 3],
  ] as const;
  const larger: Judge = (pairs) => pairs.map(({ completions: [a, b] }) => (a === b ? -1 : a > b ? 0 : 1));

  it('gets prompts, completions and columns, some at a time, and its answers are stored', async () => {
    const seen: unknown[] = [];
    const labels = new JudgeLabels((pairs, about) => {
      seen.push(pairs.map(({ prompt, completions, columns }) => [prompt, ...completions, columns.topic]));
      return larger(pairs, about);
    }, 2);
    const given = options();
    const { better, rewards } = await labels.label(samplesOf(PAIRS), given);
    expect(better).to.deep.equal([1, 0, -1]);
    expect(rewards).to.deep.equal([null, null, null, null, null, null]);
    expect(seen).to.deep.equal([
      [
        ['p0', 't1', 't2', 0],
        ['p1', 't2', 't1', 1],
      ],
      [['p2', 't3', 't3', 2]],
    ]);
    expect(given.kept.length).to.equal(2);
  });

  it('is not asked again about answered pairs, only about new completions', async () => {
    const saved: unknown[] = [];
    const stop = new AbortController();
    const first = new JudgeLabels(async (pairs, about) => {
      if (pairs[0]?.prompt !== 'p1') return larger(pairs, about);
      stop.abort(new Error('stopped'));
      return new Promise(() => {});
    }, 1);
    const keep = async () => void saved.push(JSON.parse(JSON.stringify(first.save())));
    const failure = await first
      .label(samplesOf(PAIRS), { step: 1, signal: stop.signal, keep })
      .catch((e) => e);
    expect(failure.message).to.equal('stopped');
    expect(saved.length).to.equal(1);

    const asked: unknown[] = [];
    const second = new JudgeLabels((pairs, about) => {
      asked.push(...pairs.map(({ prompt }) => prompt));
      return larger(pairs, about);
    });
    second.restore(saved[0] as never);
    expect((await second.label(samplesOf(PAIRS), options())).better).to.deep.equal([1, 0, -1]);
    expect(asked).to.deep.equal(['p1', 'p2']);
    second.restore(saved[0] as never);
    await second.label(samplesOf([[4, 4], ...PAIRS.slice(1)]), options());
    expect(asked.slice(2)).to.deep.equal(['p0', 'p1', 'p2']);
  });

  const WRONG: [what: string, judge: Judge, message: string][] = [
    ['no list', (() => 1) as never, 'judge: returned 1'],
    ['too few answers', () => [0], 'returned 1 answer for 3 pairs'],
    ['something else', () => [0, 2, 1], 'returned 2 for pair 2'],
    [
      'nothing at all',
      () => {
        throw new Error('no opinion');
      },
      'threw "no opinion"',
    ],
  ];
  for (const [what, judge, message] of WRONG) {
    it(`refuses ${what}`, async () => {
      const failure = await new JudgeLabels(judge).label(samplesOf(PAIRS), options()).catch((e) => e);
      expect(failure.name).to.equal('InputError');
      expect(failure.message).to.include(message);
    });
  }

  it('rejects an invalid batch size and invalid answers in a checkpoint', () => {
    expect(() => new JudgeLabels(larger, 0)).to.throw('judgeBatchSize is 0');
    const labels = new JudgeLabels(larger);
    for (const wrong of [{}, [{ ids: [[1], [2]], better: 0 }], [{ ids: [[1], [2], [3]], better: 2 }]])
      expect(() => labels.restore(wrong as never), JSON.stringify(wrong)).to.throw('no answers of a judge');
  });
});
