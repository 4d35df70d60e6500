/** Stepwise alignment: the first stage's result is the second one's reference and does not change, and q is between the two. */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import { memoryCheckpointStore } from '../../src/io/checkpoint.ts';
import { combineAdapters } from '../../src/io/combine-adapters.ts';
import { InputError } from '../../src/io/errors.ts';
import { type Adapter, writeAdapter } from '../../src/io/peft.ts';
import type { CausalLM } from '../../src/model/causal-lm.ts';
import { DPOTrainer } from '../../src/train/dpo-trainer.ts';
import { sequenceLogprobs } from '../../src/train/measures/sequence-logprobs.ts';
import type { SACPOEvent, SACPOStage } from '../../src/train/sacpo-trainer.ts';
import { SACPOTrainer } from '../../src/train/sacpo-trainer.ts';
import { loadFixture, randomPairs } from '../model/tiny.ts';
import { expectClose } from '../reference/compare.ts';
import { COARSE_PASS } from '../support/coarse.ts';
import { freshGpu, testGpu } from '../support/gpu.ts';

const REWARD = randomPairs(8, 31);
const SAFETY = randomPairs(8, 32);
/** Error of the same sums in another order. */
const SAME_SUMS = { absolute: 2e-5, relative: 1e-5 + COARSE_PASS };

const ARGS = { beta: 0.2, learningRate: 1e-2, perDeviceTrainBatchSize: 4, maxSteps: 3, seed: 5 };
const LORA = { r: 4, loraAlpha: 8, targetModules: ['q_proj', 'down_proj'] };

function stages(second: Partial<SACPOStage> = {}): SACPOStage[] {
  return [
    { name: 'reward', method: 'dpo', args: ARGS, trainDataset: REWARD, peftConfig: LORA },
    { name: 'safety', method: 'dpo', args: ARGS, trainDataset: SAFETY, peftConfig: LORA, ...second },
  ];
}

async function run(gpu: Gpu, given: readonly SACPOStage[], model?: CausalLM, stopAt?: [number, number]) {
  const loaded = model ?? (await loadFixture(gpu));
  const trainer = new SACPOTrainer({ model: loaded, stages: given });
  const stop = new AbortController();
  const events: SACPOEvent[] = [];
  for await (const told of trainer.train({ signal: stop.signal })) {
    events.push(told);
    if (told.event.type === 'step' && told.stage === stopAt?.[0] && told.event.step === stopAt[1])
      stop.abort();
  }
  return { model: loaded, trainer, events };
}

function losses(events: readonly SACPOEvent[], stage: number): number[] {
  return events.flatMap((told) =>
    told.stage === stage && told.event.type === 'step' ? [told.event.metrics.loss] : [],
  );
}

const bytes = (adapter: Adapter) => writeAdapter(adapter)['adapter_model.safetensors'];

async function scores(model: CausalLM): Promise<number[]> {
  const sequences = [...REWARD, ...SAFETY].map(({ prompt, chosen }) => ({ prompt, completion: chosen }));
  return (await sequenceLogprobs(model, sequences)).flatMap((values) => [...values]);
}

describe('sacpo-trainer', () => {
  it('uses the first stage as the reference of the second, and does not change it', async () => {
    const gpu = await testGpu();
    const alone = await loadFixture(gpu);
    const first = new DPOTrainer({ model: alone, args: ARGS, trainDataset: REWARD, peftConfig: LORA });
    for await (const _ of first.train());
    const expected = bytes((await first.adapter?.toAdapter())!);
    first.dispose();
    alone.dispose();

    const { model, trainer, events } = await run(gpu, stages());
    expect(trainer.adapters.length).to.equal(2);
    expect(bytes(await trainer.adapters[0].toAdapter())).to.deep.equal(expected);
    // At its first step the policy is equal to its reference, which has moved away from the base.
    expectClose([losses(events, 1)[0]], [Math.LN2], { absolute: 1e-6 });
    expect(losses(events, 1)[2]).to.be.below(Math.LN2 - 1e-3);
    model.dispose();
  });

  it('trains the second stage with β/λ', async () => {
    const gpu = await testGpu();
    const byLambda = await run(gpu, stages({ lambda: 4 }));
    const byBeta = await run(gpu, stages({ args: { ...ARGS, beta: 0.05 } }));
    const plain = await run(gpu, stages());
    expect(losses(byLambda.events, 1)).to.deep.equal(losses(byBeta.events, 1));
    expect(losses(byLambda.events, 1)).to.not.deep.equal(losses(plain.events, 1));
    for (const { model } of [byLambda, byBeta, plain]) model.dispose();
  });

  it('interpolates between the two results with q, directly and in one adapter', async () => {
    const gpu = await testGpu();
    const { model, trainer } = await run(gpu, stages());
    const [reward] = trainer.adapters;
    const stacked = await loadFixture(gpu);
    stacked.attach(await reward.toAdapter());
    const atZero = await scores(stacked);
    trainer.scale(0);
    expect(await scores(model)).to.deep.equal(atZero);

    for (const q of [0.25, 1]) {
      trainer.scale(q);
      const live = await scores(model);
      const merged = await loadFixture(gpu);
      const combined = await trainer.combined(q);
      expect(combined.config).to.include({ r: 8, loraAlpha: 8 });
      merged.attach(combined);
      expectClose(await scores(merged), live, { ...SAME_SUMS, label: `q ${q}` });
      expect(live).to.not.deep.equal(atZero);
      merged.dispose();
    }
    for (const q of [-0.1, 1.1, Number.NaN])
      expect(() => trainer.scale(q)).to.throw(InputError, `q: is ${q}`);
    stacked.dispose();
    model.dispose();
  });

  it('combines adapters of different modules and ranks', async () => {
    const gpu = await testGpu();
    const wide = { r: 2, loraAlpha: 3, targetModules: ['q_proj', 'v_proj'] };
    const { model, trainer } = await run(gpu, stages({ peftConfig: wide }));
    const live = await scores(model);
    const parts = await Promise.all(
      trainer.adapters.map(async (adapter) => ({ adapter: await adapter.toAdapter(), factor: 1 })),
    );
    const merged = await loadFixture(gpu);
    merged.attach(combineAdapters(parts));
    expectClose(await scores(merged), live, SAME_SUMS);
    merged.dispose();
    model.dispose();
  });

  it('stopped in either stage and resumed ends with the same bytes, and frees its memory', async () => {
    const gpu = await freshGpu();
    const live = gpu.memory().live;
    // Metrics arrive two steps late, so a stop needs some steps of reserve.
    const longer = () => stages().map((stage) => ({ ...stage, args: { ...ARGS, maxSteps: 6 } }));
    const whole = await run(gpu, longer());
    const expected = bytes(await whole.trainer.combined());
    whole.model.dispose();
    for (const [stage, step] of [
      [0, 2],
      [1, 1],
    ] as const) {
      const stores = [memoryCheckpointStore(), memoryCheckpointStore()];
      const kept = longer().map((given, i) => ({ ...given, checkpoint: stores[i] }));
      const stopped = await run(gpu, kept, undefined, [stage, step]);
      expect(stopped.trainer.adapters.length).to.equal(stage);
      stopped.model.dispose();
      const resumed = await run(gpu, kept);
      expect(bytes(await resumed.trainer.combined())).to.deep.equal(expected);
      resumed.model.dispose();
    }
    expect(gpu.memory().live).to.equal(live);
    gpu.dispose();
  });

  it('creates no trainer before its stage begins, and prepares the data once', async () => {
    const model = await loadFixture(await testGpu());
    let attached = 0;
    const { attach } = model;
    model.attach = ((...given: Parameters<typeof attach>) => {
      attached++;
      return attach.apply(model, given);
    }) as typeof attach;
    const trainer = await SACPOTrainer.create({ model, stages: stages() });
    expect(attached).to.equal(0);
    for await (const _ of trainer.train());
    // For each stage: the adapter that is trained, and what it has learned.
    expect(attached).to.equal(4);
    model.dispose();
  });

  it('rejects stages without a reference and invalid weights', async () => {
    const model = await loadFixture(await testGpu());
    const refused = (given: readonly SACPOStage[], message: RegExp) =>
      expect(() => new SACPOTrainer({ model, stages: given })).to.throw(InputError, message);
    refused([], /stages: the list is empty/);
    refused(stages({ method: 'cpo' as 'dpo' }), /stage "safety": "cpo" has no reference.*dpo, kto/);
    refused(stages({ lambda: 0 }), /lambda is 0/);
    // Found before the first stage is trained, and the test run leaves nothing behind.
    const labelled = SAFETY.map(({ prompt, chosen }) => ({ prompt, completion: chosen, desirable: true }));
    refused(
      stages({ method: 'kto', trainDataset: labelled }),
      /stage "safety", training data: all 8 completions/,
    );
    refused(stages({ args: { beta: -1 } }), /stage "safety", .*beta/);
    refused(stages({ peftConfig: { targetModules: ['no_proj'] } }), /stage "safety", .*no_proj/);
    expect(model.adapters).to.have.length(0);
    model.dispose();
  });
});
