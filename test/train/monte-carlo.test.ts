/** The objective of a model from its samples, and the optimum from its reference's, against sums over all answers. */
import { expect } from 'chai';
import { freshAdapter } from '../../src/model/lora.ts';
import { implicitRewards, separation } from '../../src/train/implicit-rewards.ts';
import { estimateModelOptimum, estimatePolicy } from '../../src/train/monte-carlo.ts';
import { sequenceLogprobs } from '../../src/train/sequence-logprobs.ts';
import { loadFixture } from '../model/tiny.ts';
import { random } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';

const PROMPT = [5, 17, 42];
const BETA = 0.5;
const COPIES = 600;

/** The fixture with an adapter that has moved it; answers are single tokens, so that sums over all of them are exact. */
async function policy() {
  const model = await loadFixture(await testGpu());
  const fresh = freshAdapter(
    { r: 4, loraAlpha: 8, targetModules: ['q_proj', 'down_proj'], useRslora: false },
    model.targets(['q_proj', 'down_proj']),
    'fixture',
    3,
  );
  const { normals } = random(4);
  for (const weights of fresh.weights.values()) weights.b.set(normals(weights.b.length, 0.4));
  const adapter = model.attach(fresh);
  const { vocabSize } = model.config;
  const answers = Array.from({ length: vocabSize }, (_, id) => ({ prompt: PROMPT, completion: [id] }));
  const all = async () => (await sequenceLogprobs(model, answers)).map((values) => values[0] as number);
  const logp = await all();
  adapter.enabled = false;
  const reference = await all();
  adapter.enabled = true;
  return { model, adapter, logp, reference, answers };
}

/** Where the text ends at once, its end is the answer. */
const EOS = 2;
const answerOf = ({ ids }: { ids: readonly number[] }) => ids[0] ?? EOS;
const rewardOf = (id: number) => (id % 7) / 3;
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

describe('monte-carlo', () => {
  it('estimates reward, KL and objective of a policy within its standard errors', async () => {
    const { model, adapter, logp, reference } = await policy();
    const kl = sum(logp.map((l, i) => Math.exp(l) * (l - (reference[i] as number))));
    const reward = sum(logp.map((l, i) => Math.exp(l) * rewardOf(i)));
    const found = await estimatePolicy(model, [PROMPT], {
      maxNewTokens: 1,
      numReturnSequences: COPIES,
      seed: 11,
      beta: BETA,
      without: [adapter],
      eosId: EOS,
      reward: (generation) => rewardOf(answerOf(generation)),
    });
    expect(kl).to.be.above(0.05);
    for (const [name, estimate, exact] of [
      ['reward', found.reward, reward],
      ['k1', found.kl.k1, kl],
      ['k3', found.kl.k3, kl],
      ['objective', found.objective, reward - BETA * kl],
    ] as const) {
      expect(Math.abs(estimate.mean - exact), name).to.be.below(3.5 * estimate.standardError);
    }
    expect(found.kl.k2.mean).to.be.above(0);
    expect(found.generations.length).to.equal(COPIES);
    expect(adapter.enabled).to.equal(true);
    model.dispose();
  });

  it('estimates the optimum of Theorem 1 from the reference alone', async () => {
    const { model, adapter, reference } = await policy();
    const weights = reference.map((l, i) => Math.exp(l + rewardOf(i) / BETA));
    const partition = sum(weights);
    const best = weights.map((weight) => weight / partition);
    const reward = sum(best.map((p, i) => p * rewardOf(i)));
    const found = await estimateModelOptimum(model, [PROMPT], {
      maxNewTokens: 1,
      numReturnSequences: COPIES,
      seed: 12,
      beta: BETA,
      without: [adapter],
      eosId: EOS,
      reward: (generation) => rewardOf(answerOf(generation)),
    });
    expect(Math.abs(found.reward.mean - reward)).to.be.below(3.5 * found.reward.standardError);
    expect(Math.abs(found.logPartition.mean - Math.log(partition))).to.be.below(
      3.5 * found.logPartition.standardError,
    );
    expect(found.effectiveSamples).to.be.above(50);
    expect(adapter.enabled).to.equal(true);
    model.dispose();
  });
});

describe('implicit-rewards', () => {
  it('are β times the log-ratio, and leave the adapters as they were', async () => {
    const { model, adapter, logp, reference, answers } = await policy();
    const rewards = await implicitRewards(model, answers.slice(0, 5), { beta: BETA, without: [adapter] });
    rewards.forEach(({ reward, logp: own, referenceLogp, tokens }, i) => {
      expect([own, referenceLogp, tokens]).to.deep.equal([logp[i], reference[i], 1]);
      expect(reward).to.equal(BETA * ((logp[i] as number) - (reference[i] as number)));
    });
    expect(adapter.enabled).to.equal(true);
    model.dispose();
  });

  it('are held against labels by the area under the curve, a tie counting half', () => {
    expect(separation([3, 1, 2, 2], [true, false, true, false])).to.deep.equal({
      auc: 0.875,
      desirable: 2.5,
      undesirable: 1.5,
    });
    expect(separation([1, 2], [true, true])).to.equal(undefined);
  });
});
