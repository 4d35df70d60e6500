/**
 * A reference that follows the policy: its average compared with float64, what it leaves unchanged, and runs with it, whole
 * and resumed. It is compared with TRL's own run in trl-runs.test.ts.
 */
import { expect } from 'chai';
import { packPairs } from '../../src/data/packing.ts';
import { type CheckpointStore, memoryCheckpointStore } from '../../src/io/checkpoint.ts';
import { InputError } from '../../src/io/errors.ts';
import { DeviceBatch } from '../../src/model/batch.ts';
import type { CausalLM } from '../../src/model/causal-lm.ts';
import type { ParameterStore } from '../../src/tensor/parameters.ts';
import { Tape } from '../../src/tensor/tape.ts';
import type { DPOConfig } from '../../src/train/config.ts';
import { DPOTrainer } from '../../src/train/dpo-trainer.ts';
import { MovingReference } from '../../src/train/references/moving-reference.ts';
import { rowLogprobs } from '../../src/train/scorer.ts';
import { loadFixture, randomPairs } from '../model/tiny.ts';
import { expectClose, random } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';
import { eachStep, LORA, trained } from './runs.ts';

const PAIRS = randomPairs(12, 21);

function start(args: Partial<DPOConfig>, checkpoint?: CheckpointStore) {
  return (model: CausalLM) =>
    new DPOTrainer({
      model,
      args: {
        learningRate: 5e-3,
        perDeviceTrainBatchSize: 4,
        maxSteps: 7,
        lrSchedulerType: 'constant',
        syncRefModel: true,
        ...args,
      },
      trainDataset: PAIRS,
      evalDataset: randomPairs(5, 22),
      peftConfig: LORA,
      ...(checkpoint ? { checkpoint } : {}),
    }) as never;
}

/** A slab of the store, padding included. */
async function slab(model: CausalLM, parameters: ParameterStore): Promise<Float32Array> {
  return new Float32Array(await model.gpu.read(parameters.slab('values')));
}

async function logprobs(model: CausalLM, batch: DeviceBatch): Promise<Float32Array> {
  const tape = Tape.forInference(model.gpu);
  const values = await rowLogprobs(tape, model, batch).toArray(model.gpu);
  tape.dispose();
  return values;
}

describe('moving-reference', () => {
  it('mixes at every second step, and scores with its own weights', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu, undefined, true);
    const parameters = model.parameters!;
    const reference = new MovingReference(model, parameters, { alpha: 0.6, everySteps: 2 });
    const { normals } = random(7);
    const first = await slab(model, parameters);
    const noise = normals(first.length, 0.1);
    const policy = first.map((value, i) => value * (1 + noise[i]));
    gpu.recorder.write(parameters.slab('values'), policy);
    reference.stepped(1);
    expect((await reference.save()).get('reference')).to.deep.equal(first);
    reference.stepped(2);
    const mixed = (await reference.save()).get('reference')!;
    // Two products and a sum of numbers below 4.
    expectClose(
      mixed,
      first.map((value, i) => 0.6 * policy[i] + 0.4 * value),
      { absolute: 5e-7 },
    );

    const batch = new DeviceBatch(gpu, packPairs(PAIRS), model.trainedTables);
    const rows = reference.rows(gpu, batch);
    const scored = await rows.toArray(gpu);
    expect(await slab(model, parameters)).to.deep.equal(policy);
    gpu.recorder.write(parameters.slab('values'), mixed);
    expect(scored).to.deep.equal(await logprobs(model, batch));
    gpu.pool.release(rows);
    batch.dispose();
    reference.dispose();
    model.dispose();
  });

  it('equals the policy if it is fully copied at every step: the loss is always ln 2', async () => {
    const args = { refModelMixupAlpha: 1, refModelSyncSteps: 1, evalSteps: 2 };
    const { events } = await trained(await testGpu(), start(args));
    for (const loss of eachStep(events, 'loss')) expect(loss).to.be.closeTo(Math.LN2, 1e-6);
    const evaluated = events.flatMap((event) => (event.type === 'evaluate' ? [event.metrics.eval_loss] : []));
    expect(evaluated).to.have.length(4);
    for (const loss of evaluated) expect(loss).to.be.closeTo(Math.LN2, 1e-6);
  });

  it('starts at the initial adapter, and pulls back less than a fixed one', async () => {
    const gpu = await testGpu();
    const still = await trained(gpu, start({ syncRefModel: false }));
    const late = await trained(gpu, start({ refModelSyncSteps: 3 }));
    const margins = (run: typeof still) => eachStep(run.events, 'rewards/margins');
    expect(margins(late).slice(0, 3)).to.deep.equal(margins(still).slice(0, 3));
    expect(late.events.some(({ type }) => type === 'reference')).to.equal(false);
    expect(margins(late)[3]).to.be.below(margins(still)[3]);
  });

  for (const stopAfter of [1, 4]) {
    it(`stopped after step ${stopAfter} and resumed ends with the same bytes`, async () => {
      const gpu = await testGpu();
      const args = { refModelSyncSteps: 2, evalSteps: 3 };
      const whole = await trained(gpu, start(args));
      const checkpoint = memoryCheckpointStore();
      await trained(gpu, start(args, checkpoint), stopAfter);
      const resumed = await trained(gpu, start(args, checkpoint));
      expect(resumed.events[0]).to.have.property('resumedFrom').within(stopAfter, 6);
      expect(resumed.bytes).to.deep.equal(whole.bytes);
      expect(resumed.log).to.deep.equal(whole.log);
    });
  }

  it('is part of the plan', async () => {
    const gpu = await testGpu();
    const planned = async (args: Partial<DPOConfig>) => {
      const model = await loadFixture(gpu);
      const trainer = start(args)(model) as DPOTrainer;
      const plan = await trainer.plan();
      trainer.dispose();
      model.dispose();
      return plan;
    };
    const [still, moving] = [await planned({ syncRefModel: false }), await planned({})];
    // Its own numbers; the policy's are in a buffer that the backward pass uses afterwards.
    expect(moving.plannedBytes - still.plannedBytes).to.be.at.least(4 * moving.trainableParameters);
  });

  it('rejects invalid mixing settings', async () => {
    const model = await loadFixture(await testGpu());
    for (const args of [{ refModelMixupAlpha: 0 }, { refModelMixupAlpha: 1.5 }, { refModelSyncSteps: 0 }]) {
      expect(() => start(args)(model)).to.throw(InputError, Object.keys(args)[0]);
    }
    model.dispose();
  });
});
