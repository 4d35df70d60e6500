/** The objective of a model from its samples, and the optimum from its reference's, compared with sums over all answers. */
import { expect } from 'chai';
import { type Generation, generate, sampledTokens } from '../../src/model/generation.ts';
import { freshAdapter } from '../../src/model/lora.ts';
import { type Estimate, estimateKl } from '../../src/theory/estimators.ts';
import { implicitRewards, separation } from '../../src/train/measures/implicit-rewards.ts';
import { estimateModelOptimum, estimatePolicy } from '../../src/train/measures/monte-carlo.ts';
import { sequenceLogprobs } from '../../src/train/measures/sequence-logprobs.ts';
import { allTexts, PROMPT as FIVE_PROMPT, fiveTokens, LONGEST, withAdapter } from '../model/five-tokens.ts';
import { loadFixture } from '../model/tiny.ts';
import { random } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';

const PROMPT = [5, 17, 42];
const BETA = 0.5;
const COPIES = 600;

/** The fixture with an adapter that changes it; answers are single tokens, so that sums over all of them are exact. */
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
  const all = async () => (await sequenceLogprobs(model, answers)).map((values) => values[0]);
  const logp = await all();
  adapter.enabled = false;
  const reference = await all();
  adapter.enabled = true;
  return { model, adapter, logp, reference, answers };
}

/** If the text ends at once, its end token is the answer. */
const answerOf = (generation: Generation) => sampledTokens(generation)[0];
const rewardOf = (id: number) => (id % 7) / 3;
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

describe('monte-carlo', () => {
  it('estimates reward, KL and objective of a policy within its standard errors', async () => {
    const { model, adapter, logp, reference } = await policy();
    const kl = sum(logp.map((l, i) => Math.exp(l) * (l - reference[i])));
    const reward = sum(logp.map((l, i) => Math.exp(l) * rewardOf(i)));
    const found = await estimatePolicy(model, [PROMPT], {
      maxNewTokens: 1,
      numReturnSequences: COPIES,
      seed: 11,
      beta: BETA,
      without: [adapter],
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

describe('monte-carlo on a model with two end tokens', () => {
  const ENDS = [0, 1];
  const SAMPLES = 4000;
  /** Reward of a text, including its end token: token 1 is the happy end. */
  const rate = (tokens: readonly number[]) => tokens.length / 2 + (tokens.at(-1) === 1 ? 1 : 0);

  /** The options of policy and samples, with E[r], KL and J over all texts in float64. */
  async function twoEnds() {
    const { model, exact } = await fiveTokens(await testGpu(), ENDS);
    const modules = ['q_proj', 'v_proj', 'down_proj'];
    const lora = { r: 2, loraAlpha: 4, targetModules: modules, useRslora: false };
    const fresh = freshAdapter(lora, model.targets(modules), 'five', 3);
    const { normals } = random(5);
    for (const { b } of fresh.weights.values()) b.set(normals(b.length, 0.5));
    const adapter = model.attach(fresh);
    const reference = allTexts(exact, ENDS);
    const policy = allTexts(withAdapter(exact, fresh), ENDS);
    const mean = (value: (i: number) => number) =>
      sum(policy.map(({ logprob }, i) => Math.exp(logprob) * value(i)));
    const kl = mean((i) => policy[i]?.logprob - reference[i]?.logprob);
    const objective = mean((i) => rate(policy[i]?.tokens ?? [])) - BETA * kl;
    const options = { maxNewTokens: LONGEST, numReturnSequences: SAMPLES, seed: 17 };
    return { model, adapter, reference, kl, objective, options };
  }

  it('estimates KL and objective within three standard errors of the sums over all texts', async () => {
    const { model, adapter, kl, objective, options } = await twoEnds();
    expect(kl).to.be.above(0.2);
    const found = await estimatePolicy(model, [FIVE_PROMPT], {
      ...options,
      beta: BETA,
      without: [adapter],
      reward: (generation) => rate(sampledTokens(generation)),
    });
    expect(new Set(found.generations.map(({ endId }) => endId))).to.deep.equal(new Set([0, 1, undefined]));
    const errors = (estimate: Estimate, exact: number) =>
      Math.abs(estimate.mean - exact) / estimate.standardError;
    expect(errors(found.kl.k1, kl)).to.be.below(3);
    expect(errors(found.kl.k3, kl)).to.be.below(3);
    expect(errors(found.objective, objective)).to.be.below(3);
    model.dispose();
  });

  it('would be wrong with one end token for both, or with none', async () => {
    const { model, adapter, kl, options } = await twoEnds();
    const drawn = await generate(model, [FIVE_PROMPT], options);
    for (const end of [[0], []]) {
      const sequences = drawn.map(({ ids, finished }) => ({
        prompt: [...FIVE_PROMPT],
        completion: finished === 'eos' ? [...ids, ...end] : ids,
      }));
      const scores = await implicitRewards(model, sequences, { beta: 1, without: [adapter] });
      const ratios = scores.map(({ logp }) => logp);
      const { mean, standardError } = estimateKl(
        ratios,
        scores.map(({ referenceLogp }) => referenceLogp),
        'k1',
      );
      expect(Math.abs(mean - kl), `${end}`).to.be.above(6 * standardError);
    }
    model.dispose();
  });

  it("estimates the optimum's values", async () => {
    const { model, adapter, reference, options } = await twoEnds();
    const weights = reference.map(({ tokens, logprob }) => Math.exp(logprob + rate(tokens) / BETA));
    const partition = sum(weights);
    const best = sum(reference.map(({ tokens }, i) => (weights[i] / partition) * rate(tokens)));
    const found = await estimateModelOptimum(model, [FIVE_PROMPT], {
      ...options,
      beta: BETA,
      without: [adapter],
      reward: (generation) => rate(sampledTokens(generation)),
    });
    expect(Math.abs(found.reward.mean - best)).to.be.below(3 * found.reward.standardError);
    expect(Math.abs(found.logPartition.mean - Math.log(partition))).to.be.below(
      3 * found.logPartition.standardError,
    );
    model.dispose();
  });
});

describe('implicit-rewards', () => {
  it('are β times the log-ratio, and do not change the adapters', async () => {
    const { model, adapter, logp, reference, answers } = await policy();
    const rewards = await implicitRewards(model, answers.slice(0, 5), { beta: BETA, without: [adapter] });
    rewards.forEach(({ reward, logp: own, referenceLogp, tokens }, i) => {
      expect([own, referenceLogp, tokens]).to.deep.equal([logp[i], reference[i], 1]);
      expect(reward).to.equal(BETA * (logp[i] - reference[i]));
    });
    expect(adapter.enabled).to.equal(true);
    model.dispose();
  });

  it('are compared with labels by the area under the curve, where a tie counts half', () => {
    expect(separation([3, 1, 2, 2], [true, false, true, false])).to.deep.equal({
      auc: 0.875,
      desirable: 2.5,
      undesirable: 1.5,
    });
    expect(separation([1, 2], [true, true])).to.equal(undefined);
  });
});
