/**
 * PPO on a model of five tokens, whose objective is known by enumeration: it rises, two runs are the same, also when
 * resumed after any step, four roles need little more memory than RLOO's two, and invalid settings are refused.
 */
import { expect } from 'chai';
import { type CheckpointStore, memoryCheckpointStore } from '../../src/io/checkpoint.ts';
import type { CausalLM } from '../../src/model/causal-lm.ts';
import { PPOTrainer } from '../../src/rollout/ppo-trainer.ts';
import type { BatchReward } from '../../src/rollout/rewards.ts';
import type { PPOArgs } from '../../src/train/config.ts';
import type { TrainEvent } from '../../src/train/events.ts';
import { allTexts, fiveTokens, LONGEST, withAdapter } from '../model/five-tokens.ts';
import { testGpu } from '../support/gpu.ts';
import { eachStep, trained } from '../train/runs.ts';
import { fiveWords } from './five-words.ts';

const ENDS = [0];
const BETA = 0.5;
const LORA = {
  r: 4,
  loraAlpha: 16,
  targetModules: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
};
const rewardOf = (tokens: readonly number[]) =>
  (tokens.filter((token) => token === 4).length === 1 ? 1.5 : 0) + tokens.length / 4;

const SETTINGS: PPOArgs = {
  learningRate: 1e-2,
  perDeviceTrainBatchSize: 64,
  maxSteps: 80,
  seed: 5,
  maxCompletionLength: LONGEST,
  temperature: 1,
  klCoef: BETA,
  numGenerationsEval: 2,
};

const four: BatchReward = ({ completionIds }) => completionIds.map(rewardOf);
const row = { prompt: 'd b e' };

async function starter(settings: PPOArgs = {}, checkpoint?: CheckpointStore, reward = four) {
  const processingClass = await fiveWords();
  return (model: CausalLM) =>
    new PPOTrainer({
      model,
      processingClass,
      rewardFuncs: reward,
      args: { ...SETTINGS, ...settings },
      trainDataset: Array.from({ length: 64 }, () => row),
      evalDataset: [row],
      peftConfig: LORA,
      ...(checkpoint ? { checkpoint } : {}),
    });
}

const load = async (gpu: Parameters<typeof fiveTokens>[0]) => (await fiveTokens(gpu, ENDS)).model;

describe('rollout/ppo', () => {
  it('increases objective (1), and its values learn', async () => {
    const gpu = await testGpu();
    const { model, exact } = await fiveTokens(gpu, ENDS);
    const reference = allTexts(exact, ENDS);
    const optimum =
      BETA *
      Math.log(
        reference.reduce((sum, { tokens, logprob }) => sum + Math.exp(logprob + rewardOf(tokens) / BETA), 0),
      );
    const before = reference.reduce(
      (sum, { tokens, logprob }) => sum + Math.exp(logprob) * rewardOf(tokens),
      0,
    );
    const trainer = (await starter())(model);
    const events: TrainEvent[] = [];
    for await (const event of trainer.train()) events.push(event);
    const policy = allTexts(withAdapter(exact, await trainer.adapter!.toAdapter()), ENDS);
    const objective = policy.reduce((sum, { tokens, logprob }, y) => {
      const ratio = logprob - reference[y]?.logprob;
      return sum + Math.exp(logprob) * (rewardOf(tokens) - BETA * ratio);
    }, 0);
    expect(objective).to.be.below(optimum);
    // The advantages are whitened, so steps do not shrink near the optimum; two thirds of the way is enough.
    expect(optimum - objective).to.be.below(0.33 * (optimum - before));
    const errors = eachStep(events, 'loss/value_avg');
    expect(errors.at(-1)!).to.be.below(0.5 * errors[0]);
    expect(events.filter(({ type }) => type === 'rollout').length).to.equal(20);
    const ratios = eachStep(events, 'val/ratio');
    // The first pass over a batch is at ratio 1, the others are not.
    expect(ratios[4]).to.be.closeTo(1, 1e-4);
    expect(Math.abs(ratios[7] - 1)).to.be.above(1e-4);
    const step = events.find(({ type }) => type === 'step')!;
    expect(step)
      .to.have.property('metrics')
      .that.includes.all.keys(
        'objective/kl',
        'objective/entropy',
        'objective/non_score_reward',
        'objective/rlhf_reward',
        'objective/scores',
        'policy/approxkl_avg',
        'policy/clipfrac_avg',
        'policy/entropy_avg',
        'loss/policy_avg',
        'loss/value_avg',
        'val/clipfrac_avg',
        'val/ratio',
        'val/num_eos_tokens',
        'episode',
      );
    trainer.dispose();
    model.dispose();
  });

  it('is deterministic, and resumes after any step, between minibatches and passes too', async () => {
    const gpu = await testGpu();
    const small = {
      maxSteps: 9,
      saveSteps: 1,
      perDeviceTrainBatchSize: 8,
      gradientAccumulationSteps: 2,
      numMiniBatches: 2,
      numPpoEpochs: 2,
      scoreAfterEos: true,
      missingEosPenalty: 1,
      whitenRewards: true,
    };
    const whole = await trained(gpu, await starter(small), undefined, load);
    const again = await trained(gpu, await starter(small), undefined, load);
    expect(again.bytes).to.deep.equal(whole.bytes);
    expect(again.log).to.deep.equal(whole.log);
    expect(whole.events.filter(({ type }) => type === 'rollout').length).to.equal(3);
    for (const stopAfter of [1, 2, 6]) {
      const store = memoryCheckpointStore();
      await trained(gpu, await starter(small, store), stopAfter, load);
      const resumed = await trained(gpu, await starter(small, store), undefined, load);
      expect(resumed.bytes, `stopped after ${stopAfter}`).to.deep.equal(whole.bytes);
      expect(resumed.log).to.deep.equal(whole.log);
    }
  });

  it('learns the same from completions with a shared prompt as with repeated prompts', async () => {
    const gpu = await testGpu();
    const some = { perDeviceTrainBatchSize: 16, maxSteps: 3, numPpoEpochs: 3, scoreAfterEos: true };
    const runs = [1, 4].map(async (numGenerations) =>
      trained(gpu, await starter({ ...some, numGenerations }), undefined, load),
    );
    const [apart, shared] = [await runs[0], await runs[1]];
    const written = ({ events }: typeof apart) =>
      events.flatMap((event) => (event.type === 'rollout' ? [event.completions, event.advantages] : []));
    const [texts, advantages] = written(shared) as [string[], number[]];
    expect(texts).to.deep.equal(written(apart)[0]);
    for (const [i, value] of (written(apart)[1] as number[]).entries())
      expect(advantages[i]).to.be.closeTo(value, 1e-4);
    for (const name of ['grad_norm', 'loss', 'loss/value_avg', 'val/ratio']) {
      const [own, all] = [eachStep(shared.events, name), eachStep(apart.events, name)];
      expect(own).to.have.length(3);
      // Sums over fewer tokens are rounded differently; two updates of Adam increase the difference a little.
      for (const [i, value] of all.entries()) expect(own[i], name).to.be.closeTo(value, 2e-4);
    }
  });

  it('rejects invalid settings, and says what to do', async () => {
    const gpu = await testGpu();
    const model = await load(gpu);
    const refused = async (settings: PPOArgs) => {
      const start = await starter(settings);
      expect(() => start(model))
        .to.throw()
        .with.property('message')
        .that.includes(Object.keys(settings)[0]);
    };
    await refused({ klEstimator: 'k3' });
    await refused({ numMiniBatches: 3 });
    await refused({ numGenerations: 3 });
    await refused({ numGenerations: 8, numMiniBatches: 16 });
    await refused({ lam: 1.5 });
    await refused({ maxCompletionLength: 40 });
    const free = (await starter({ klCoef: 0, numGenerationsEval: 64 }))(model);
    expect(free.notices.join()).to.include('klCoef is 0').and.include('optimality_gap');
    free.dispose();
    model.detach(free.adapter!);
    const start = await starter({}, undefined, ({ completionIds }) =>
      completionIds.map((_, i) => (i === 2 ? null : 1)),
    );
    const trainer = start(model);
    const error = await (async () => {
      for await (const _ of trainer.train());
    })().catch((reason: unknown) => reason);
    expect(String(error)).to.include('completion 3').and.include('RLOO');
    trainer.dispose();
    model.dispose();
  });
});
