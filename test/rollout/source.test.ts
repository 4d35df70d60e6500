/**
 * RLOO on a model of five tokens, whose optimum is known by enumeration: it rises towards β log Z and never above, two runs
 * are the same, also when resumed at any step, and its certificate agrees with the exact gap.
 */
import { expect } from 'chai';
import { type CheckpointStore, memoryCheckpointStore } from '../../src/io/checkpoint.ts';
import type { CausalLM } from '../../src/model/causal-lm.ts';
import type { ExperienceMaker } from '../../src/rollout/experience.ts';
import type { BatchReward } from '../../src/rollout/rewards.ts';
import { RLOOTrainer } from '../../src/rollout/rloo-trainer.ts';
import type { RolloutSource } from '../../src/rollout/source.ts';
import type { RLOOArgs } from '../../src/train/config.ts';
import type { TrainEvent } from '../../src/train/events.ts';
import { allTexts, fiveTokens, LONGEST, withAdapter } from '../model/five-tokens.ts';
import { freshGpu, testGpu } from '../support/gpu.ts';
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

const SETTINGS: RLOOArgs = {
  learningRate: 2e-2,
  perDeviceTrainBatchSize: 64,
  maxSteps: 80,
  seed: 5,
  numGenerations: 16,
  maxCompletionLength: LONGEST,
  beta: BETA,
  numGenerationsEval: 256,
};

/** The reward, with the name under which it is logged. */
const four: BatchReward = ({ completionIds }) => completionIds.map(rewardOf);

async function starter(settings: RLOOArgs = {}, checkpoint?: CheckpointStore) {
  const processingClass = await fiveWords();
  const row = { prompt: 'd b e' };
  return (model: CausalLM) =>
    new RLOOTrainer({
      model,
      processingClass,
      rewardFuncs: four,
      args: { ...SETTINGS, ...settings },
      trainDataset: [row, row, row, row],
      evalDataset: [row],
      peftConfig: LORA,
      ...(checkpoint ? { checkpoint } : {}),
    });
}

const load = async (gpu: Parameters<typeof fiveTokens>[0]) => (await fiveTokens(gpu, ENDS)).model;

describe('rollout/source', () => {
  it('solves objective (1): J rises towards β log Z, and the certificate is the exact gap', async () => {
    const gpu = await testGpu();
    const { model, exact } = await fiveTokens(gpu, ENDS);
    const reference = allTexts(exact, ENDS);
    const partition = reference.reduce(
      (sum, { tokens, logprob }) => sum + Math.exp(logprob + rewardOf(tokens) / BETA),
      0,
    );
    const optimum = BETA * Math.log(partition);
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
    // The part of the gap that is left after 80 steps.
    expect(optimum - objective).to.be.below(0.1 * (optimum - before));

    const held = trainer.logHistory.at(-1)!.metrics as Record<string, number>;
    expect(held.eval_effective_samples).to.be.above(100);
    expect(Math.abs(held.eval_optimality_gap - (optimum - objective))).to.be.below(
      4 * held['eval_optimality_gap/standard_error'] + 1e-3,
    );
    expect(held.eval_optimum).to.be.closeTo(optimum, 0.05);
    // By both estimates, and with the correction, which is small if the samples are worth more than a hundred.
    for (const name of ['optimum/jackknife', 'optimum/reference', 'optimum/reference/jackknife']) {
      const error = held[`eval_${name}/standard_error`];
      expect(error, name).to.be.within(1e-6, 0.2);
      expect(Math.abs(held[`eval_${name}`] - optimum), name).to.be.below(4 * error);
    }
    expect(held['eval_optimality_gap/lower_bound']).to.equal(0);
    expect(Math.abs(held.eval_objective - objective)).to.be.below(4 * held['eval_objective/standard_error']);
    const rollouts = events.filter(({ type }) => type === 'rollout');
    expect(rollouts.length).to.equal(80);
    const ratios = eachStep(events, 'clip_ratio/high_mean');
    expect(Math.max(...ratios)).to.equal(0);
    trainer.dispose();
    model.dispose();
  });

  it('is deterministic, and resumes after any step, also between steps that share a batch', async () => {
    const gpu = await testGpu();
    const settings = {
      maxSteps: 9,
      saveSteps: 1,
      gradientAccumulationSteps: 1,
      stepsPerGeneration: 2,
      numIterations: 2,
    };
    const small = { ...settings, perDeviceTrainBatchSize: 32, numGenerationsEval: 2 };
    const whole = await trained(gpu, await starter(small), undefined, load);
    const again = await trained(gpu, await starter(small), undefined, load);
    expect(again.bytes).to.deep.equal(whole.bytes);
    const written = (events: readonly TrainEvent[]) => events.filter(({ type }) => type === 'rollout').length;
    // Two parts and two passes: one batch of completions for four steps.
    expect(written(whole.events)).to.equal(3);
    for (const stopAfter of [1, 2, 4, 6]) {
      const store = memoryCheckpointStore();
      await trained(gpu, await starter(small, store), stopAfter, load);
      const resumed = await trained(gpu, await starter(small, store), undefined, load);
      expect(resumed.bytes, `stopped after ${stopAfter}`).to.deep.equal(whole.bytes);
      expect(resumed.log).to.deep.equal(whole.log);
    }
  });

  it('skips groups without a gradient, and learns the same', async () => {
    const gpu = await testGpu();
    const run = async (skips: boolean) => {
      const { model } = await fiveTokens(gpu, ENDS);
      const processingClass = await fiveWords();
      const trainer = new RLOOTrainer({
        model,
        processingClass,
        rewardFuncs: ({ completionIds, columns }) =>
          completionIds.map((ids, i) => (columns.flat?.[i] ? 1 : rewardOf(ids))),
        args: { ...SETTINGS, maxSteps: 1, shuffleDataset: false },
        trainDataset: [true, false, true, false].map((flat) => ({ prompt: 'd b e', columns: { flat } })),
        peftConfig: LORA,
      });
      const { source } = (trainer as unknown as { task: { source: { parts: { maker: ExperienceMaker } } } })
        .task;
      const { maker } = source.parts;
      const make = maker.make.bind(maker);
      if (!skips)
        maker.make = async (...of) => {
          const { silent: _, ...made } = await make(...of);
          return made;
        };
      const events: TrainEvent[] = [];
      for await (const event of trainer.train()) events.push(event);
      const step = events.find(({ type }) => type === 'step');
      trainer.dispose();
      model.dispose();
      if (step?.type !== 'step') throw new Error('no step');
      return step.metrics;
    };
    const [skipped, whole] = [await run(true), await run(false)];
    expect(skipped.groups_skipped).to.equal(2);
    expect(whole.groups_skipped).to.equal(0);
    for (const name of ['loss', 'grad_norm', 'num_tokens', 'clip_ratio/low_mean'])
      expect(skipped[name], name).to.be.closeTo(whole[name], 1e-6 * Math.abs(whole[name]) + 1e-9);
  });

  it('takes a step even if nothing has a gradient', async () => {
    const gpu = await testGpu();
    const { model } = await fiveTokens(gpu, ENDS);
    const trainer = new RLOOTrainer({
      model,
      processingClass: await fiveWords(),
      rewardFuncs: ({ completions }) => completions.map(() => 1),
      args: { ...SETTINGS, maxSteps: 2 },
      trainDataset: [{ prompt: 'd b e' }],
      peftConfig: LORA,
    });
    const events: TrainEvent[] = [];
    for await (const event of trainer.train()) events.push(event);
    expect(eachStep(events, 'loss')).to.deep.equal([0, 0]);
    expect(eachStep(events, 'grad_norm')).to.deep.equal([0, 0]);
    trainer.dispose();
    model.dispose();
  });

  it('plans generation and training together', async () => {
    const gpu = await freshGpu();
    const { events } = await trained(
      gpu,
      await starter({ maxSteps: 1, numGenerationsEval: 2 }),
      undefined,
      // Without an end token every completion is as long as planned.
      async (device) => (await fiveTokens(device, [])).model,
    );
    const [start] = events;
    const end = events.at(-1)!;
    gpu.dispose();
    if (start?.type !== 'start' || end.type !== 'end') throw new Error('no plan');
    // The buffers of a model this small are hardly larger than the 256 bytes to which each is rounded up.
    expect(end.memory.peak).to.be.at.most(1.2 * start.plan.plannedBytes);
    expect(end.memory.peak).to.be.at.least(0.8 * start.plan.plannedBytes);
  });

  it('reduces the default length to fit the model, with a notice, and reports repeated prompts', async () => {
    const { model } = await fiveTokens(await testGpu(), []);
    const trainer = (await starter({ maxCompletionLength: undefined }))(model);
    expect(trainer.config.maxCompletionLength).to.equal(16);
    expect(trainer.notices.join(' '))
      .to.include('no end token')
      .and.include('32 positions')
      .and.include('repeats an earlier one');
    model.dispose();
  });

  it('rejects invalid completions in a checkpoint', async () => {
    const gpu = await testGpu();
    const { model } = await fiveTokens(gpu, ENDS);
    const trainer = (await starter())(model);
    const { source } = (trainer as unknown as { task: { source: RolloutSource } }).task;
    const example = { prompt: [1], completions: [[2]], columns: { advantage: [0], oldLogprobs: [-1] } };
    const saved = { number: 1, examples: [example], silent: [false], metrics: {} };
    source.restore(saved);
    for (const wrong of [
      { ...saved, number: 'one' },
      { ...saved, examples: [{ ...example, prompt: ['a'] }] },
      { ...saved, examples: [{ ...example, columns: { oldLogprobs: [-1] } }] },
      { ...saved, silent: [] },
      [saved],
    ]) {
      expect(() => source.restore(wrong as never), JSON.stringify(wrong)).to.throw('has no completions');
    }
    trainer.dispose();
    model.dispose();
  });

  it('repeats an evaluation that was stopped', async () => {
    const gpu = await testGpu();
    const store = memoryCheckpointStore();
    const { model } = await fiveTokens(gpu, ENDS);
    const trainer = (await starter({ maxSteps: 1 }, store))(model);
    const stop = new AbortController();
    const seen: string[] = [];
    for await (const { type } of trainer.train({ signal: stop.signal })) {
      seen.push(type);
      if (type === 'rollout') stop.abort();
    }
    expect(seen).to.not.include('evaluate');
    trainer.dispose();
    model.dispose();
    const resumed = await trained(gpu, await starter({ maxSteps: 1 }, store), undefined, load);
    expect(resumed.events.map(({ type }) => type)).to.include('evaluate');
  });

  it('refuses sizes that do not divide', async () => {
    const { model } = await fiveTokens(await testGpu(), ENDS);
    const make = await starter({ perDeviceTrainBatchSize: 24 });
    expect(() => make(model)).to.throw('perDeviceTrainBatchSize is 24, but numGenerations is 16');
    model.dispose();
  });
});
