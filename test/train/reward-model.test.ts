/**
 * The use of reward models: scores compared with the float64 decoder, at the right token, in any batch; on their own base
 * and on a policy's; and as the reward of a run.
 */
import { expect } from 'chai';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memoryFiles } from '../../src/io/files.ts';
import type { Adapter } from '../../src/io/peft.ts';
import { readAdapter, writeAdapter } from '../../src/io/peft.ts';
import type { CausalLM } from '../../src/model/causal-lm.ts';
import { freshAdapter } from '../../src/model/lora.ts';
import { A2POTrainer } from '../../src/rollout/a2po-trainer.ts';
import { OnlineDPOTrainer } from '../../src/rollout/online-dpo-trainer.ts';
import { PPOTrainer } from '../../src/rollout/ppo-trainer.ts';
import { RLOOTrainer } from '../../src/rollout/rloo-trainer.ts';
import { RewardModel } from '../../src/train/measures/reward-model.ts';
import { RewardTrainer } from '../../src/train/reward-trainer.ts';
import trl from '../fixtures/trl-pairs.json' with { type: 'json' };
import { expectRefused } from '../io/refused.ts';
import { filesOf, loadFixture, packSequences, randomPairs } from '../model/tiny.ts';
import { expectClose, random } from '../reference/compare.ts';
import { decoder } from '../reference/decoder.ts';
import { tinyLlama } from '../reference/fixtures.ts';
import { COARSE_PASS } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';
import { LORA } from './runs.ts';

const { config, weights } = tinyLlama;
const WIDTH = config.hiddenSize;
const HEAD = Float32Array.from(random(41).normals(WIDTH));
const SEQUENCES = randomPairs(4, 43).flatMap(({ prompt, chosen, rejected }) => [
  { prompt, completion: chosen },
  { prompt, completion: rejected },
]);

/** An adapter with a head; unless `moved`, its factors B are 0, so that the hidden states are those of the base. */
function adapterFor(model: CausalLM, moved = false): Adapter {
  const lora = { ...LORA, useRslora: false };
  const adapter = freshAdapter(lora, model.targets(LORA.targetModules), 'fixture', 3);
  const { normals } = random(44);
  if (moved) for (const { b } of adapter.weights.values()) b.set(normals(b.length, 0.3));
  return { ...adapter, head: HEAD };
}

/** Scores at given positions by the float64 decoder. */
function expected(ends: readonly number[]): number[] {
  return SEQUENCES.map(({ prompt, completion }, s) => {
    const ids = [...prompt, ...completion];
    // There the state of a completion's last token is not computed, so one arbitrary token is appended.
    const packed = packSequences([{ prompt: ids, completion: [1] }]);
    const { hidden } = decoder({ config, weights }, packed);
    const row = ends[s];
    return HEAD.reduce((sum, w, i) => sum + w * hidden[row * WIDTH + i], 0);
  });
}

const lengths = SEQUENCES.map(({ prompt, completion }) => prompt.length + completion.length);
const CLOSE = { absolute: 2e-5 + COARSE_PASS * 10, relative: 1e-5 + COARSE_PASS };

describe('train/reward-model', function () {
  this.timeout(120_000);

  it('scores the last token, whatever the rest of the batch', async () => {
    const model = await loadFixture(await testGpu());
    const reward = RewardModel.on(model, adapterFor(model));
    const scores = await reward.scoreTokens(SEQUENCES);
    expectClose(scores, expected(lengths.map((length) => length - 1)), CLOSE);
    for (const [s, sequence] of SEQUENCES.entries()) {
      const [alone] = await reward.scoreTokens([sequence]);
      // Bit-identical on SwiftShader; another variant of a product may round differently.
      expect(alone).to.be.closeTo(scores[s], 1e-5);
    }
    const small = await reward.scoreTokens(SEQUENCES, { batchTokens: 12 });
    expectClose(small, scores, { absolute: 1e-5 });
    const whole = await reward.score(
      SEQUENCES.map(({ prompt, completion }) => ({ ids: [...prompt, ...completion] })),
    );
    expectClose(whole, scores, { absolute: 1e-5 });
    model.dispose();
  });

  it('skips trailing pad tokens by transformers’ rule, into the prompt if necessary', async () => {
    const model = await CausalLMWithPad(9);
    const reward = RewardModel.on(model, adapterFor(model));
    expect(reward.padTokenId).to.equal(9);
    const padded = SEQUENCES.map(({ prompt, completion }, s) =>
      s % 2
        ? { prompt, completion: [...completion, 9, 9] }
        : { prompt: [...prompt, ...completion, 9], completion: [9] },
    );
    const scores = await reward.scoreTokens(padded);
    const plain = RewardModel.on(model, adapterFor(model), { scoredToken: 'last' });
    const isText = (id: number) => id !== 9;
    const ends = SEQUENCES.map(({ prompt, completion }) => [...prompt, ...completion].findLastIndex(isText));
    expectClose(scores, expected(ends), CLOSE);
    const last = await plain.scoreTokens(padded);
    expect(Math.max(...last.map((value, s) => Math.abs(value - scores[s])))).to.be.above(1e-2);
    // If all tokens are pads, transformers takes the first.
    const [all] = await reward.scoreTokens([{ prompt: [9], completion: [9, 9] }]);
    const [first] = await plain.scoreTokens([{ prompt: [], completion: [9] }]);
    expect(all).to.be.closeTo(first, 1e-5);
    model.dispose();
  });

  it('shares a policy’s base: enabled only while it scores', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const policy = model.attach({ ...adapterFor(model, true), head: undefined } as never);
    const before = gpu.memory().live;
    const reward = RewardModel.on(model, adapterFor(model));
    // The base has about 100 kB; a head and factors of rank 4 have less.
    expect(gpu.memory().live - before).to.be.below(40_000);
    const states = () => model.adapters.map(({ enabled }) => enabled);
    expect(states()).to.deep.equal([true, false]);
    const scoring = reward.scoreTokens(SEQUENCES);
    expect(states()).to.deep.equal([true, false]);
    expectClose(await scoring, expected(lengths.map((length) => length - 1)), CLOSE);
    expect(policy.enabled).to.equal(true);
    expect(model.withOnly([policy], states)).to.deep.equal([true, false]);
    expect(model.withOnly([], states)).to.deep.equal([false, false]);
    reward.dispose();
    expect(model.adapters).to.deep.equal([policy]);
    model.dispose();
  });

  it('is unchanged after saving and loading, and scores like in training', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const trainer = new RewardTrainer({
      model,
      peftConfig: LORA,
      args: { learningRate: 1e-2, maxSteps: 3, perDeviceTrainBatchSize: 4 },
      trainDataset: randomPairs(8, 45),
    });
    for await (const _ of trainer.train());
    const live = await RewardModel.on(model, trainer.adapter!).scoreTokens(SEQUENCES);
    const files = writeAdapter(await trainer.adapter!.toAdapter());
    trainer.dispose();
    model.dispose();
    const json = JSON.parse(new TextDecoder().decode(files['adapter_config.json']));
    expect(json).to.deep.include({ task_type: 'SEQ_CLS', modules_to_save: ['classifier', 'score'] });
    const adapter = await readAdapter(memoryFiles(files, 'reward'));
    const loaded = await RewardModel.load(gpu, filesOf(tinyLlama), { adapter });
    expectClose(await loaded.scoreTokens(SEQUENCES), live, { absolute: 1e-6 });
    loaded.dispose();
  });

  it('is the reward of a run, by ids, and by text for another tokenizer', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const tokenizer = await tokenizerOf(trl.tokenizer);
    const reward = RewardModel.on(model, adapterFor(model), { tokenizer, name: 'learned' });
    const start = (rewardFuncs: RewardModel) =>
      new RLOOTrainer({
        model,
        peftConfig: LORA,
        processingClass: tokenizer,
        args: {
          numGenerations: 2,
          perDeviceTrainBatchSize: 4,
          maxCompletionLength: 5,
          maxSteps: 2,
          beta: 0.1,
          shuffleDataset: false,
        },
        trainDataset: [{ prompt: 'the sky' }, { prompt: 'the end' }],
        rewardFuncs,
      });
    const trainer = start(reward);
    for await (const event of trainer.train()) {
      if (event.type !== 'step') continue;
      expect(event.metrics).to.include.keys('rewards/learned/mean', 'rewards/learned/std', 'reward');
      expect(event.metrics.reward).not.to.equal(0);
    }
    expect(trainer.notices.join()).not.to.include('tokenizer');
    trainer.dispose();

    const changed = structuredClone(trl.tokenizer) as { model: { vocab: Record<string, number> } };
    const [[a, x], [b, y]] = Object.entries(changed.model.vocab).slice(10, 12) as [
      [string, number],
      [string, number],
    ];
    Object.assign(changed.model.vocab, { [a]: y, [b]: x });
    const other = RewardModel.on(model, adapterFor(model), { tokenizer: await tokenizerOf(changed) });
    const beside = start(other);
    expect(beside.notices.join()).to.include('another tokenizer').and.include('text');
    for (const Made of [PPOTrainer, OnlineDPOTrainer, A2POTrainer]) {
      const trainer = new Made({
        model,
        peftConfig: LORA,
        processingClass: tokenizer,
        trainDataset: [{ prompt: 'the sky' }],
        args: { maxCompletionLength: 5 },
        rewardFuncs: other,
      });
      expect(trainer.notices.join(), Made.name).to.include('another tokenizer').and.include('text');
      trainer.dispose();
      model.detach(trainer.adapter!);
    }
    const batch = {
      prompts: ['the sky'],
      completions: [' is blue'],
      promptIds: [[1]],
      completionIds: [[2]],
      tokenizer,
    };
    const [text] = await other.rate(batch);
    // A completion that was cut off gets the end token of the training texts, whether given by ids or by text.
    const end = tokenizer.eosId!;
    const [byIds] = await other.score([{ ids: [...other.tokenizer!.encode('the sky is blue'), end] }]);
    expect(text).to.equal(byIds);
    const rated = await reward.rate({ ...batch, promptIds: [[1], [1]], completionIds: [[5], [5, end]] });
    expect(rated[0]).to.equal(rated[1]);
    expect(await reward.scoreTokens([{ prompt: [1], completion: [5] }])).to.not.deep.equal([rated[0]]);
    beside.dispose();
    model.dispose();
  });

  it('rejects adapters that are not reward models', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const { head: _, ...bare } = adapterFor(model);
    await expectRefused(() => RewardModel.on(model, bare), 'no head', 'SEQ_CLS');
    await expectRefused(() => RewardModel.on(model, { ...bare, head: HEAD.subarray(4) }), 'head', '32');
    await expectRefused(
      () => RewardModel.load(gpu, filesOf(tinyLlama)),
      'score.weight',
      'not a reward model',
    );
    const moving = await loadFixture(gpu, tinyLlama, true);
    await expectRefused(() => RewardModel.on(moving, adapterFor(model)), 'trains all of its weights', 'load');
    moving.dispose();
    const reward = RewardModel.on(model, adapterFor(model));
    await expectRefused(() => reward.score(['text']), 'tokenizer');
    await expectRefused(
      () => reward.scoreTokens([{ prompt: [], completion: [] }]),
      'sequence 1',
      'no tokens',
    );
    await expectRefused(() => reward.score([{ ids: [1] }, { ids: [97] }]), 'sequence 2', '97');
    await expectRefused(() => reward.score([{ ids: new Array(65).fill(1) }]), '65 tokens', '64');
    model.dispose();
  });
});

/** The fixture with a pad token in its configuration. */
async function CausalLMWithPad(id: number): Promise<CausalLM> {
  const json = JSON.parse(new TextDecoder().decode(tinyLlama.files.get('config.json')));
  const text = new TextEncoder().encode(JSON.stringify({ ...json, pad_token_id: id }));
  const { CausalLM } = await import('../../src/model/causal-lm.ts');
  return CausalLM.load(await testGpu(), filesOf(tinyLlama, { 'config.json': text }));
}

function tokenizerOf(json: object): Promise<Tokenizer> {
  const text = (value: object) => new TextEncoder().encode(JSON.stringify(value));
  return Tokenizer.fromFiles(
    memoryFiles(
      { 'tokenizer.json': text(json), 'tokenizer_config.json': text(trl.tokenizerConfig) },
      'tokenizer',
    ),
  );
}
