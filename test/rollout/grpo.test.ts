/**
 * GRPO on a model of five tokens: every loss trains, what is not needed is not computed, reused completions and resumed
 * runs give the same bytes, KL in the reward and in the loss, masks, a moving reference, and what is refused.
 */
import { expect } from 'chai';
import { type CheckpointStore, memoryCheckpointStore } from '../../src/io/checkpoint.ts';
import { GROUP_RELATIVE_LOSSES } from '../../src/losses/policy-losses.ts';
import type { CausalLM } from '../../src/model/causal-lm.ts';
import type { ExperienceMaker } from '../../src/rollout/experience.ts';
import { GRPOTrainer, type GRPOTrainerOptions } from '../../src/rollout/grpo-trainer.ts';
import type { BatchReward } from '../../src/rollout/rewards.ts';
import type { GRPOArgs } from '../../src/train/config.ts';
import type { TrainEvent } from '../../src/train/events.ts';
import { fiveTokens, LONGEST } from '../model/five-tokens.ts';
import { freshGpu, testGpu } from '../support/gpu.ts';
import { eachStep, trained } from '../train/runs.ts';
import { fiveWords } from './five-words.ts';

const ENDS = [0];
const LORA = { r: 2, loraAlpha: 8, targetModules: ['q_proj', 'v_proj', 'down_proj'] };

const SETTINGS: GRPOArgs = {
  learningRate: 5e-3,
  perDeviceTrainBatchSize: 8,
  maxSteps: 3,
  seed: 5,
  numGenerations: 4,
  maxCompletionLength: LONGEST,
  numGenerationsEval: 2,
  shuffleDataset: false,
};

const rewardOf: BatchReward = function hashed({ completionIds }) {
  return completionIds.map((ids) => Math.sin(7 * ids.reduce((hash, token) => 5 * hash + token, 1)));
};

async function starter(
  args: GRPOArgs = {},
  more: Partial<GRPOTrainerOptions> = {},
  checkpoint?: CheckpointStore,
) {
  const processingClass = await fiveWords();
  return (model: CausalLM) =>
    new GRPOTrainer({
      model,
      processingClass,
      rewardFuncs: rewardOf,
      trainDataset: ['d b e', 'e e', 'b d', 'c'].map((prompt) => ({ prompt })),
      peftConfig: LORA,
      ...more,
      args: { ...SETTINGS, ...args },
      ...(checkpoint ? { checkpoint } : {}),
    });
}

const load = async (gpu: Parameters<typeof fiveTokens>[0]) => (await fiveTokens(gpu, ENDS)).model;
const run = async (args: GRPOArgs, more: Partial<GRPOTrainerOptions> = {}) =>
  trained(await testGpu(), await starter(args, more), undefined, load);
const last = (events: readonly TrainEvent[]) =>
  events.flatMap((event) => (event.type === 'step' ? [event.metrics] : [])).at(-1) ?? {};

/** The settings that the trainer's examples depend on. */
function makerOf(trainer: GRPOTrainer): ExperienceMaker {
  return (trainer as unknown as { task: { source: { parts: { maker: ExperienceMaker } } } }).task.source.parts
    .maker;
}

describe('rollout/grpo', () => {
  for (const { name } of GROUP_RELATIVE_LOSSES) {
    it(`${name} trains, with reused completions and a KL in the loss`, async () => {
      const { events } = await run({
        lossType: name,
        beta: 0.04,
        numIterations: 2,
        maxSteps: 2,
        ...(name === 'cispo' && { epsilonHigh: 5 }),
      });
      const metrics = last(events);
      expect(metrics.grad_norm).to.be.above(0);
      expect(metrics).to.include.keys(
        'loss',
        'kl',
        'kl/sequence',
        'entropy',
        'reward',
        'frac_reward_zero_std',
      );
      expect(metrics.kl).to.be.above(0);
    });
  }

  it("scores nothing in advance at ratio 1, and takes the same step as with the sampling policy's values", async () => {
    const gpu = await testGpu();
    const { model } = await fiveTokens(gpu, ENDS);
    const trainer = (await starter({ maxSteps: 1, learningRate: 0 }))(model);
    const maker = makerOf(trainer);
    const make = maker.make.bind(maker);
    let columns: string[] = [];
    maker.make = async (...of) => {
      const made = await make(...of);
      columns = Object.keys(made.examples[0]?.columns ?? {});
      return made;
    };
    for await (const _ of trainer.train());
    expect(columns).to.deep.equal(['advantage']);
    trainer.dispose();
    model.dispose();
  });

  it('is deterministic, and resumes between steps that share a batch', async () => {
    const gpu = await testGpu();
    const settings: GRPOArgs = {
      ...{ maxSteps: 5, saveSteps: 1, stepsPerGeneration: 2, numIterations: 2, beta: 0.1 },
      ...{ perDeviceTrainBatchSize: 4, maskTruncatedCompletions: true, topEntropyQuantile: 0.5 },
    };
    const whole = await trained(gpu, await starter(settings), undefined, load);
    for (const stopAfter of [1, 3]) {
      const store = memoryCheckpointStore();
      await trained(gpu, await starter(settings, {}, store), stopAfter, load);
      // A setting of rollouts that may change when a run is resumed.
      const others = { ...settings, rewardTimeout: 599 };
      const resumed = await trained(gpu, await starter(others, {}, store), undefined, load);
      expect(resumed.bytes, `stopped after ${stopAfter}`).to.deep.equal(whole.bytes);
      expect(resumed.log).to.deep.equal(whole.log);
    }
  });

  it('with the KL in the reward has none in the loss, and logs it like RLOO', async () => {
    const inReward = last((await run({ beta: 0.3, klIn: 'reward', maxSteps: 2 })).events);
    const inLoss = last((await run({ beta: 0.3, maxSteps: 2 })).events);
    const without = last((await run({ maxSteps: 2 })).events);
    expect(inReward).to.include.keys('kl', 'kl/sequence', 'objective');
    expect(inLoss).to.include.keys('kl', 'kl/sequence');
    expect(inLoss).to.not.have.property('objective');
    expect(without).to.not.have.any.keys('kl', 'kl/sequence');
    expect(inReward.objective).to.be.closeTo(inReward.reward - 0.3 * inReward['kl/sequence'], 1e-5);
  });

  it('plans generation, the reference and training together', async () => {
    const gpu = await freshGpu();
    // Without an end token every completion is as long as planned.
    const endless = async (device: typeof gpu) => (await fiveTokens(device, [])).model;
    const { events } = await trained(gpu, await starter({ beta: 0.1, maxSteps: 1 }), undefined, endless);
    const [start] = events;
    const end = events.at(-1)!;
    gpu.dispose();
    if (start?.type !== 'start' || end.type !== 'end') throw new Error('no plan');
    // The buffers of a model this small are hardly larger than the 256 bytes to which each is rounded up.
    expect(end.memory.peak).to.be.at.most(1.2 * start.plan.plannedBytes);
    expect(end.memory.peak).to.be.at.least(0.8 * start.plan.plannedBytes);
  });

  it('uses a user-defined advantage function', async () => {
    const seen: number[] = [];
    const { events } = await run(
      { maxSteps: 1 },
      {
        advantageFunc: ({ returns, byFunction, numGenerations }) => {
          seen.push(returns.length, numGenerations, byFunction.get('hashed')!.weight);
          return returns.map((_, i) => (i % 2 ? 1 : -1));
        },
      },
    );
    expect(seen).to.deep.equal([8, 4, 1]);
    const rollout = events.find((event) => event.type === 'rollout');
    expect(rollout?.type === 'rollout' && rollout.advantages).to.deep.equal([-1, 1, -1, 1, -1, 1, -1, 1]);
  });

  it('reports invalid results of an advantage function', async () => {
    for (const [values, word] of [
      [[1], '1 advantage for 8'],
      [[0, 0, Number.NaN, 0, 0, 0, 0, 0], 'completion 3'],
    ] as const) {
      const failed = await run({ maxSteps: 1 }, { advantageFunc: () => values }).catch((error) => error);
      expect(String(failed)).to.include(word);
    }
  });

  it('counts masked completions, and learns nothing if all are masked', async () => {
    const { model } = await fiveTokens(await testGpu(), []);
    const trainer = (await starter({ maskTruncatedCompletions: true, maxSteps: 1 }))(model);
    const events: TrainEvent[] = [];
    for await (const event of trainer.train()) events.push(event);
    // Without an end token every completion is cut off.
    expect(eachStep(events, 'grad_norm')).to.deep.equal([0]);
    expect(eachStep(events, 'groups_skipped')).to.deep.equal([2]);
    trainer.dispose();
    model.dispose();
  });

  it('moves its reference with the policy on request', async () => {
    const still = last((await run({ beta: 0.1, maxSteps: 3, learningRate: 2e-2 })).events);
    const moved = last(
      (
        await run({
          ...{ beta: 0.1, maxSteps: 3, learningRate: 2e-2 },
          ...{ syncRefModel: true, refModelSyncSteps: 1, refModelMixupAlpha: 1 },
        })
      ).events,
    );
    // The reference is the policy of the step before: k3 at ratio 1 is 0.
    expect(moved.kl).to.be.closeTo(0, 1e-6);
    expect(still.kl).to.be.above(1e-5);
  });

  it('rejects conflicting settings', async () => {
    const { model } = await fiveTokens(await testGpu(), ENDS);
    const refused: [GRPOArgs, string][] = [
      [{ numGenerations: 1 }, 'numGenerations'],
      [{ syncRefModel: true }, 'beta'],
      [{ beta: 0.1, klIn: 'reward', multiObjectiveAggregation: 'normalize_then_sum' }, 'klIn'],
      [{ lossType: 'ppo' }, 'Supported losses: grpo, bnpo'],
      [{ topEntropyQuantile: 0 }, 'topEntropyQuantile'],
    ];
    for (const [args, word] of refused) {
      const make = await starter(args);
      expect(() => make(model), JSON.stringify(args)).to.throw(word);
    }
    const filtered = await starter({ topK: 5 } as GRPOArgs);
    expect(() => filtered(model)).to.throw('whole distribution');
    const cispo = (await starter({ lossType: 'cispo' }))(model);
    expect(cispo.notices.join(' ')).to.include('Its authors take 5');
    cispo.dispose();
    model.dispose();
  });
});
