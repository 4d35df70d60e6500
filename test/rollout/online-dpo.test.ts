/**
 * Online DPO on a model of five tokens: two runs are the same, also when resumed at any moment, between steps that share a
 * batch and while a judge is asked; and what it logs and refuses.
 */
import { expect } from 'chai';
import { memoryCheckpointStore } from '../../src/io/checkpoint.ts';
import type { CausalLM } from '../../src/model/causal-lm.ts';
import type { Judge } from '../../src/rollout/judge.ts';
import { OnlineDPOTrainer, type OnlineDPOTrainerOptions } from '../../src/rollout/online-dpo-trainer.ts';
import type { BatchReward } from '../../src/rollout/rewards.ts';
import type { OnlineDPOArgs } from '../../src/train/config.ts';
import type { TrainEvent } from '../../src/train/events.ts';
import { fiveTokens, LONGEST } from '../model/five-tokens.ts';
import { testGpu } from '../support/gpu.ts';
import { eachStep, trained } from '../train/runs.ts';
import { fiveWords, LORA } from './five-words.ts';

const ENDS = [0];
const rewardOf = (tokens: readonly number[]) =>
  tokens.filter((token) => token === 4).length + tokens.length / 4;
const fours: BatchReward = ({ completionIds }) => completionIds.map(rewardOf);
const load = async (gpu: Parameters<typeof fiveTokens>[0]) => (await fiveTokens(gpu, ENDS)).model;

const SETTINGS: OnlineDPOArgs = {
  learningRate: 1e-2,
  perDeviceTrainBatchSize: 4,
  maxSteps: 4,
  saveSteps: 1,
  seed: 5,
  maxCompletionLength: LONGEST,
  labels: 'sampled',
  numGenerationsEval: 2,
};
const ROWS = Array.from({ length: 8 }, () => ({ prompt: 'd b e' }));

async function starter({ args, ...more }: Partial<OnlineDPOTrainerOptions> = {}) {
  const processingClass = await fiveWords();
  return (model: CausalLM) =>
    new OnlineDPOTrainer({
      model,
      processingClass,
      args: { ...SETTINGS, ...args },
      trainDataset: ROWS,
      peftConfig: LORA,
      ...(more.judge ? {} : { rewardFuncs: fours }),
      ...more,
    });
}

describe('rollout: OnlineDPOTrainer', () => {
  it('is deterministic, and resumes between steps that share a batch', async () => {
    const gpu = await testGpu();
    const args = { stepsPerGeneration: 2, numIterations: 2, maxSteps: 6 };
    const whole = await trained(gpu, await starter({ args }), undefined, load);
    const again = await trained(gpu, await starter({ args }), undefined, load);
    expect(again.bytes).to.deep.equal(whole.bytes);
    // Two parts and two passes: one batch of completions for four steps.
    expect(whole.events.filter(({ type }) => type === 'rollout').length).to.equal(2);
    for (const stopAfter of [1, 3, 4]) {
      const checkpoint = memoryCheckpointStore();
      await trained(gpu, await starter({ args, checkpoint }), stopAfter, load);
      const resumed = await trained(gpu, await starter({ args, checkpoint }), undefined, load);
      expect(resumed.bytes, `stopped after ${stopAfter}`).to.deep.equal(whole.bytes);
      expect(resumed.log).to.deep.equal(whole.log);
    }
  });

  it('logs the metrics of TRL, and puts the better completion first', async () => {
    const gpu = await testGpu();
    const args = { labels: 'greedy', maxSteps: 2, beta: 0.5, temperature: 1, learningRate: 1e-2 } as const;
    const { events } = await trained(
      gpu,
      await starter({ args, evalDataset: ROWS.slice(0, 1) }),
      undefined,
      load,
    );
    const steps = events.flatMap((event) => (event.type === 'step' ? [event.metrics] : []));
    const rollouts = events.flatMap((event) => (event.type === 'rollout' ? [event] : []));
    for (const [i, metrics] of steps.entries()) {
      const { rewards, advantages } = rollouts[i];
      const scores = rewards as number[];
      const mean = scores.reduce((a, b) => a + b, 0) / scores.length;
      expect(metrics['objective/scores']).to.be.closeTo(mean, 1e-9);
      const margins = Array.from({ length: 4 }, (_, p) => Math.abs(scores[2 * p] - scores[2 * p + 1]));
      expect(metrics['objective/scores_margin']).to.be.closeTo(margins.reduce((a, b) => a + b, 0) / 4, 1e-9);
      for (let p = 0; p < 4; p++)
        expect(advantages.slice(2 * p, 2 * p + 2)).to.deep.equal(
          scores[2 * p] >= scores[2 * p + 1] ? [1, -1] : [-1, 1],
        );
      const kl = metrics['objective/kl'];
      expect(metrics['objective/non_score_reward']).to.be.closeTo(-0.5 * kl, 1e-9);
      expect(metrics['objective/rlhf_reward']).to.be.closeTo(mean - 0.5 * kl, 1e-9);
      expect(metrics['kl/sequence']).to.equal(kl);
      // The implicit rewards are K1 of both, times β.
      const implicit = (metrics['rewards/chosen'] + metrics['rewards/rejected']) / 2;
      expect(0.5 * kl).to.be.closeTo(implicit, 1e-5);
      expect(metrics).to.include.keys('logps/chosen', 'val/contain_eos_token', 'rewards/accuracies', 'beta');
      expect(metrics['objective/entropy']).to.be.above(0);
    }
    // Before anything is learned the margin is 0.
    expect(eachStep(events, 'loss')[0]).to.be.closeTo(Math.LN2, 1e-5);
    expect(events.some(({ type }) => type === 'evaluate')).to.equal(true);
  });

  it('asks a judge, and only once, even if it was killed while waiting', async () => {
    const gpu = await testGpu();
    const asked: string[] = [];
    const judge: Judge = (pairs) =>
      pairs.map(({ completions: [a, b] }) => {
        asked.push(`${a}|${b}`);
        return a === b ? -1 : a > b ? 0 : 1;
      });
    const options = { judge, judgeBatchSize: 1, args: { maxSteps: 3 } };
    const whole = await trained(gpu, await starter(options), undefined, load);
    expect(asked.length).to.be.at.most(12);
    expect(eachStep(whole.events, 'pairs_undecided').length).to.equal(3);

    const all = [...asked];
    asked.length = 0;
    const checkpoint = memoryCheckpointStore();
    // The trainer is not notified: the process ends while the seventh answer is awaited.
    const killed = new Promise<void>((kill) => {
      const silent: Judge = (pairs, about) =>
        asked.length < 6 ? judge(pairs, about) : new Promise(() => kill());
      void starter({
        ...options,
        judge: Object.defineProperty(silent, 'name', { value: judge.name }),
        checkpoint,
      }).then(async (start) => {
        const model = await load(gpu);
        for await (const _ of start(model).train());
      });
    });
    await killed;
    const resumed = await trained(gpu, await starter({ ...options, checkpoint }), undefined, load);
    expect(resumed.bytes).to.deep.equal(whole.bytes);
    expect(asked).to.deep.equal(all);
  });

  it('stops while waiting for a judge, with a checkpoint', async () => {
    const gpu = await testGpu();
    const checkpoint = memoryCheckpointStore();
    const stop = new AbortController();
    const judge: Judge = () => {
      setTimeout(() => stop.abort(), 5);
      return new Promise(() => {});
    };
    const model = await load(gpu);
    const trainer = (await starter({ judge, checkpoint }))(model);
    const events: TrainEvent[] = [];
    for await (const event of trainer.train({ signal: stop.signal })) events.push(event);
    expect(events.at(-1)).to.include({ type: 'end', completed: false, step: 0 });
    expect(await checkpoint.read()).to.not.equal(undefined);
    trainer.dispose();
    model.dispose();
  });

  it('takes a step even if no pair is decided', async () => {
    const gpu = await testGpu();
    const judge: Judge = (pairs) => pairs.map(() => -1);
    const { events } = await trained(gpu, await starter({ judge, args: { maxSteps: 1 } }), undefined, load);
    expect(eachStep(events, 'grad_norm')).to.deep.equal([0]);
    expect(eachStep(events, 'pairs_undecided')).to.deep.equal([4]);
  });

  it('rejects a run without rewards or judge, and reports settings without effect', async () => {
    const model = await load(await testGpu());
    const without = await starter({ rewardFuncs: [] });
    expect(() => without(model)).to.throw('Give rewardFuncs or a judge');
    const judge: Judge = (pairs) => pairs.map(() => 0);
    const { notices } = (await starter({ judge, evalDataset: ROWS }))(model);
    expect(notices.join(' ')).to.include('labels has no effect').and.include('not evaluated');
    model.dispose();
  });
});
