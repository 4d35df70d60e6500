/**
 * A*-PO on a model of five tokens: its optimal values compared with β log Z by enumeration, the same result twice and when
 * resumed at any moment, including during the stage before training, and the filter of prompts that are never solved.
 */
import { expect } from 'chai';
import { memoryCheckpointStore } from '../../src/io/checkpoint.ts';
import type { CausalLM } from '../../src/model/causal-lm.ts';
import { A2POTrainer, type A2POTrainerOptions } from '../../src/rollout/a2po-trainer.ts';
import { learnable, optimalValue } from '../../src/rollout/advantage-regression.ts';
import type { BatchReward } from '../../src/rollout/rewards.ts';
import type { A2POArgs } from '../../src/train/config.ts';
import type { TrainEvent } from '../../src/train/events.ts';
import { allTexts, fiveTokens, LONGEST } from '../model/five-tokens.ts';
import { testGpu } from '../support/gpu.ts';
import { eachStep, trained } from '../train/runs.ts';
import { fiveWords, LORA } from './five-words.ts';

const ENDS = [0];
const BETA = 0.5;
const rewardOf = (tokens: readonly number[]) =>
  tokens.filter((token) => token === 4).length + tokens.length / 4;
const fours: BatchReward = ({ completionIds }) => completionIds.map(rewardOf);
const load = async (gpu: Parameters<typeof fiveTokens>[0]) => (await fiveTokens(gpu, ENDS)).model;

const SETTINGS: A2POArgs = {
  learningRate: 1e-2,
  perDeviceTrainBatchSize: 4,
  maxSteps: 4,
  saveSteps: 1,
  seed: 5,
  maxCompletionLength: LONGEST,
  numValueSamples: 4,
  beta1: BETA,
  beta2: BETA,
  numGenerationsEval: 2,
};
const ROWS = Array.from({ length: 8 }, (_, i) => ({ prompt: 'd b e', columns: { row: i } }));

async function starter({ args, ...more }: Partial<A2POTrainerOptions> = {}) {
  const processingClass = await fiveWords();
  return (model: CausalLM) =>
    new A2POTrainer({
      model,
      processingClass,
      args: { ...SETTINGS, ...args },
      trainDataset: ROWS,
      peftConfig: LORA,
      rewardFuncs: fours,
      ...more,
    });
}

const numbers = (events: readonly TrainEvent[], type: TrainEvent['type']) =>
  events.filter((event) => event.type === type).length;

describe('rollout: A2POTrainer', () => {
  it('estimates V* = β log Z, with consistent metrics', async () => {
    const gpu = await testGpu();
    const { model, exact } = await fiveTokens(gpu, ENDS);
    // Mean and mean square of e^(r/β) under the reference.
    const moment = (power: number) =>
      allTexts(exact, ENDS).reduce(
        (sum, { tokens, logprob }) => sum + Math.exp(logprob + (power * rewardOf(tokens)) / BETA),
        0,
      );
    const error = BETA * Math.sqrt((moment(2) / moment(1) ** 2 - 1) / 1024);
    model.dispose();
    const args = { numValueSamples: 512, maxSteps: 1, perDeviceTrainBatchSize: 2 };
    const one = await trained(gpu, await starter({ args, trainDataset: ROWS.slice(0, 2) }), undefined, load);
    const [found] = eachStep(one.events, 'v_star');
    expect(Math.abs(found - BETA * Math.log(moment(1)))).to.be.below(4 * error);
    const [metrics] = one.events.flatMap((event) => (event.type === 'step' ? [event.metrics] : []));
    const rollout = one.events.find(({ type }) => type === 'rollout');
    if (!metrics || rollout?.type !== 'rollout') throw new Error('no step');
    expect(metrics.advantage).to.be.closeTo(metrics.reward - metrics.v_star, 1e-6);
    // Nothing is learned yet, so the loss is that of the advantages alone.
    expect(metrics.implicit_reward).to.be.closeTo(0, 1e-5);
    const squares = rollout.advantages.map((each) => each ** 2);
    expect(metrics.loss).to.be.closeTo(squares.reduce((a, b) => a + b, 0) / 2, 1e-5);
    expect(metrics.objective).to.be.closeTo(metrics.reward, 1e-6);
  });

  it('is deterministic, and resumes between steps that share a batch and in the stage before training', async () => {
    const gpu = await testGpu();
    const args = { stepsPerGeneration: 2, maxSteps: 4 };
    const written: string[] = [];
    const listening: BatchReward = (batch) => {
      written.push(batch.completions.join());
      return fours(batch);
    };
    const rewardFuncs = Object.defineProperty(listening, 'name', { value: fours.name });
    const whole = await trained(gpu, await starter({ args, rewardFuncs }), undefined, load);
    // The values' completions are drawn again for other prompts, though these are the same text here.
    expect(written[1]).not.to.equal(written[0]);
    const again = await trained(gpu, await starter({ args }), undefined, load);
    expect(again.bytes).to.deep.equal(whole.bytes);
    expect(numbers(whole.events, 'rollout')).to.equal(2);
    for (const stopAfter of [1, 2]) {
      const checkpoint = memoryCheckpointStore();
      await trained(gpu, await starter({ args, checkpoint }), stopAfter, load);
      const others = { ...args, rewardTimeout: 599 };
      const resumed = await trained(gpu, await starter({ args: others, checkpoint }), undefined, load);
      expect(resumed.bytes, `stopped after ${stopAfter}`).to.deep.equal(whole.bytes);
      expect(resumed.log).to.deep.equal(whole.log);
    }
    // Stopped when the values of the first four of eight prompts were known.
    const checkpoint = memoryCheckpointStore();
    const stop = new AbortController();
    let rated = 0;
    const stopping: BatchReward = (batch) => {
      rated += batch.completions.length;
      if (rated > 16) stop.abort();
      return fours(batch);
    };
    const named = Object.defineProperty(stopping, 'name', { value: fours.name });
    const model = await load(gpu);
    const trainer = (await starter({ args, checkpoint, rewardFuncs: named }))(model);
    const seen: TrainEvent[] = [];
    for await (const event of trainer.train({ signal: stop.signal })) seen.push(event);
    trainer.dispose();
    model.dispose();
    expect(seen.at(-1)).to.include({ type: 'end', step: 0, completed: false });
    let counted = 0;
    const counting: BatchReward = (batch) => {
      counted += batch.completions.length;
      return fours(batch);
    };
    const resumed = await trained(
      gpu,
      await starter({
        args,
        checkpoint,
        rewardFuncs: Object.defineProperty(counting, 'name', { value: fours.name }),
      }),
      undefined,
      load,
    );
    expect(resumed.bytes).to.deep.equal(whole.bytes);
    // The values of four prompts were stored; then two batches of eight completions follow.
    expect(counted).to.equal(16 + 16);
  });

  it('omits prompts that the reference never solves, if rewards are only 0 or 1', async () => {
    const gpu = await testGpu();
    const binary: BatchReward = ({ completions, columns }) =>
      completions.map((_, i) => (Number(columns.row?.[i]) < 3 ? 1 : 0));
    const { events } = await trained(
      gpu,
      await starter({ rewardFuncs: binary, args: { maxSteps: 2 } }),
      undefined,
      load,
    );
    expect(eachStep(events, 'prompts_left_out')).to.deep.equal([5, 5]);
    // V* of a prompt that is always solved is 1, and so is its reward.
    for (const value of eachStep(events, 'v_star')) expect(value).to.be.closeTo(1, 1e-12);
    const none = await starter({ rewardFuncs: ({ completions }) => completions.map(() => 0) });
    const model = await load(gpu);
    const failure = await (async () => {
      for await (const _ of none(model).train());
    })().catch((error) => error);
    expect(failure.message).to.include('no prompt to learn from').and.include('filterAllIncorrect');
    model.dispose();
  });

  it('rejects invalid values in a checkpoint', async () => {
    const model = await load(await testGpu());
    const trainer = (await starter())(model);
    const { source } = (trainer as unknown as { task: { source: { restore(saved: unknown): void } } }).task;
    for (const wrong of [{ rewards: 1 }, { rewards: [[1, 2]] }, { rewards: [['a', 1, 1, 1]] }])
      expect(() => source.restore({ maker: wrong }), JSON.stringify(wrong)).to.throw('no optimal values');
    trainer.dispose();
    model.dispose();
  });
});

describe('rollout: optimal values', () => {
  it('are β log mean e^(r/β) of the rated completions', () => {
    expect(optimalValue([0, 1, null], 0.5)).to.be.closeTo(0.5 * Math.log((1 + Math.exp(2)) / 2), 1e-12);
    expect(optimalValue([null], 0.5)).to.equal(undefined);
    // No overflow.
    expect(optimalValue([1000, 1000], 1e-3)).to.be.closeTo(1000, 1e-9);
  });

  it('omit prompts only if all rewards are 0 or 1', () => {
    const filter = { filterAllIncorrect: true };
    expect(
      learnable(
        [
          [0, 0],
          [0, 1],
          [null, null],
        ],
        filter,
      ),
    ).to.deep.equal([false, true, false]);
    expect(
      learnable(
        [
          [0, 0],
          [0, 0.5],
        ],
        filter,
      ),
    ).to.deep.equal([true, true]);
    expect(
      learnable(
        [
          [0, 0],
          [0, 1],
        ],
        { filterAllIncorrect: false },
      ),
    ).to.deep.equal([true, true]);
  });
});
