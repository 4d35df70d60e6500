/**
 * The trainer compared with TRL's own runs, and with itself: repeated, stopped and resumed, with accumulation, out of
 * memory, with a loss that is not a number.
 */
import { expect } from 'chai';
import type { TokenizedPair } from '../../src/data/packing.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { MemoryCapError } from '../../src/gpu/errors.ts';
import { type CheckpointStore, memoryCheckpointStore } from '../../src/io/checkpoint.ts';
import { InputError } from '../../src/io/errors.ts';
import { writeAdapter } from '../../src/io/peft.ts';
import { memoryReferenceCache, type ReferenceCache } from '../../src/io/reference-cache.ts';
import type { CausalLM } from '../../src/model/causal-lm.ts';
import type { DPOConfig } from '../../src/train/config.ts';
import { DPOTrainer } from '../../src/train/dpo-trainer.ts';
import type { Metrics, TrainEvent } from '../../src/train/events.ts';
import { loadFixture, productAdapter, randomPairs } from '../model/tiny.ts';
import { relativeL2 } from '../reference/compare.ts';
import { dpoTrajectory, type TrajectorySteps } from '../reference/fixtures.ts';
import { COARSE_GRADIENT, coarseBound, settled } from '../support/coarse.ts';
import { freshGpu, testGpu } from '../support/gpu.ts';

const PAIRS = randomPairs(12, 21);
const SMALL: Partial<DPOConfig> = {
  learningRate: 5e-3,
  perDeviceTrainBatchSize: 4,
  numTrainEpochs: 2,
  warmupSteps: 1,
  seed: 3,
};
const LORA = { r: 4, loraAlpha: 8, targetModules: ['q_proj', 'v_proj', 'down_proj'] };

interface RunOptions {
  args?: Partial<DPOConfig>;
  pairs?: readonly TokenizedPair[];
  evalPairs?: readonly TokenizedPair[];
  checkpoint?: CheckpointStore;
  referenceCache?: ReferenceCache;
  /** Stop after this step. */
  stopAfter?: number;
  model?: CausalLM;
}

/** Trains to the end or to `stopAfter`; returns the events and the adapter's bytes. */
async function run(
  gpu: Gpu,
  { args, pairs = PAIRS, evalPairs = [], stopAfter, model, ...stores }: RunOptions = {},
) {
  const loaded = model ?? (await loadFixture(gpu));
  const trainer = new DPOTrainer({
    model: loaded,
    args: { ...SMALL, ...args },
    trainDataset: pairs,
    evalDataset: evalPairs,
    peftConfig: LORA,
    ...stores,
  });
  const stop = new AbortController();
  const events: TrainEvent[] = [];
  for await (const event of trainer.train({ signal: stop.signal })) {
    events.push(event);
    if (event.type === 'step' && event.step === stopAfter) stop.abort();
  }
  if (!trainer.adapter) throw new Error('no adapter');
  const files = writeAdapter(await trainer.adapter.toAdapter());
  const log = trainer.logHistory;
  trainer.dispose();
  loaded.detach(trainer.adapter);
  if (!model) loaded.dispose();
  return { events, log, bytes: files['adapter_model.safetensors'] };
}

function losses(events: readonly TrainEvent[]): number[] {
  return events.flatMap((event) => (event.type === 'step' ? [event.metrics.loss] : []));
}

/** TRL's names in the fixture, where they differ from those of our events. */
const NAMES: Record<string, string> = {
  grad_norm: 'gradNorm',
  learning_rate: 'learningRate',
  mean_token_accuracy: 'meanTokenAccuracy',
  num_tokens: 'numTokens',
};

/** Sums of tens of log-probabilities have more rounding errors than a loss; both sides use float32. */
const BOUNDS: Record<string, number> = {
  'logps/chosen': 2e-4,
  'logps/rejected': 2e-4,
  grad_norm: 1e-3,
  num_tokens: 0,
};
const BOUND = 1e-4;

async function followTrl(
  settings: typeof dpoTrajectory.settings,
  pairs: readonly TokenizedPair[],
  steps: Record<keyof TrajectorySteps, number[]>,
  final: ReturnType<typeof dpoTrajectory.final>,
): Promise<void> {
  const gpu = await testGpu();
  const model = await loadFixture(gpu);
  const { alpha } = dpoTrajectory.lora;
  const trainer = new DPOTrainer({
    model,
    trainDataset: pairs,
    peftConfig: productAdapter(model, dpoTrajectory.initial(), alpha),
    args: {
      beta: settings.beta,
      perDeviceTrainBatchSize: settings.per_device_train_batch_size,
      gradientAccumulationSteps: settings.gradient_accumulation_steps,
      learningRate: settings.learning_rate,
      lrSchedulerType: settings.lr_scheduler_type as DPOConfig['lrSchedulerType'],
      warmupSteps: settings.warmup_steps,
      maxSteps: settings.max_steps,
      maxGradNorm: settings.max_grad_norm,
      weightDecay: settings.weight_decay,
      shuffleDataset: false,
    },
  });
  const found: Metrics[] = [];
  for await (const event of trainer.train()) if (event.type === 'step') found.push(event.metrics);
  expect(found.length).to.equal(settings.max_steps);
  found.forEach((metrics, i) => {
    for (const [name, value] of Object.entries(metrics)) {
      const expected = (steps as Record<string, number[]>)[NAMES[name] ?? name]?.[i];
      if (expected === undefined) continue; // ours alone, such as log_ratio/chosen
      expect(value, `${name} of step ${i + 1}`).to.be.closeTo(
        expected,
        coarseBound(name, BOUNDS[name] ?? BOUND),
      );
    }
  });
  const adapter = (await trainer.adapter?.toAdapter())!;
  for (const [module, { a, b }] of final) {
    const ours = adapter.weights.get(module) ?? { a: new Float32Array(), b: new Float32Array() };
    // 50 steps of AdamW increase the rounding errors of the first ones.
    expect(relativeL2(settled(ours.a, a), a), `${module} A`).to.be.below(1e-3 + COARSE_GRADIENT);
    expect(relativeL2(settled(ours.b, b), b), `${module} B`).to.be.below(1e-3 + COARSE_GRADIENT);
  }
  trainer.dispose();
  model.dispose();
}

describe('dpo-trainer', () => {
  it('follows 50 steps of TRL, metric by metric', async () => {
    const { settings, pairs, steps, final } = dpoTrajectory;
    await followTrl(settings, pairs, steps, final());
  });

  it('follows TRL with cosine, weight decay, tight clipping and an uneven last step', async () => {
    const { settings, pairs, steps, final } = dpoTrajectory.uneven;
    await followTrl(settings, dpoTrajectory.pairs.slice(0, pairs), steps, final());
  });

  it('starts at ln 2 with no margin', async () => {
    const { events } = await run(await testGpu(), { args: { maxSteps: 1 } });
    const step = events.find((event) => event.type === 'step');
    expect(step?.metrics.loss).to.be.closeTo(Math.LN2, 1e-7);
    expect(step?.metrics['rewards/margins']).to.equal(0);
    expect(step?.metrics['log_ratio/chosen']).to.equal(0);
    expect(step?.metrics['log_ratio/rejected']).to.equal(0);
    expect(Object.keys(step?.metrics ?? {}).filter((name) => name.startsWith('kl'))).to.deep.equal([]);
  });

  it('is deterministic, byte for byte', async () => {
    const gpu = await testGpu();
    const first = await run(gpu);
    const second = await run(gpu);
    expect(second.bytes).to.deep.equal(first.bytes);
    expect(second.log).to.deep.equal(first.log);
  });

  for (const stopAfter of [1, 2, 3]) {
    it(`stopped after step ${stopAfter} and resumed ends with the same bytes`, async () => {
      const gpu = await testGpu();
      const options = { evalPairs: randomPairs(5, 22), args: { evalSteps: 2 } };
      const whole = await run(gpu, options);
      const checkpoint = memoryCheckpointStore();
      const stopped = await run(gpu, { ...options, checkpoint, stopAfter });
      expect(stopped.events.at(-1)).to.include({ type: 'end', completed: false });
      const resumed = await run(gpu, { ...options, checkpoint });
      expect(resumed.events[0])
        .to.have.property('resumedFrom')
        .within(stopAfter, stopAfter + 3);
      expect(resumed.bytes).to.deep.equal(whole.bytes);
      expect(resumed.log).to.deep.equal(whole.log);
    });
  }

  it('a batch of 4 and two accumulated batches of 2 agree', async () => {
    const gpu = await testGpu();
    const whole = await run(gpu);
    const parts = await run(gpu, { args: { perDeviceTrainBatchSize: 2, gradientAccumulationSteps: 2 } });
    const bound = 2e-6; // the sums of a batch's gradients come in another order
    losses(parts.events).forEach((loss, i) => {
      expect(loss).to.be.closeTo(losses(whole.events)[i], bound);
    });
  });

  it('the order of the pairs in a batch does not matter', async () => {
    const gpu = await testGpu();
    const args = { perDeviceTrainBatchSize: 12, shuffleDataset: false };
    const forth = await run(gpu, { args });
    const back = await run(gpu, { args, pairs: [...PAIRS].reverse() });
    losses(back.events).forEach((loss, i) => {
      expect(loss).to.be.closeTo(losses(forth.events)[i], 2e-6);
    });
  });

  it('a cached reference gives the same bytes as a computed one', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const referenceCache = memoryReferenceCache();
    const computed = await run(gpu, { model, referenceCache });
    const cached = await run(gpu, { model, referenceCache });
    const isCached = ({ events }: { events: TrainEvent[] }) =>
      events.some((event) => event.type === 'reference' && event.cached);
    expect([isCached(computed), isCached(cached)]).to.deep.equal([false, true]);
    expect(cached.bytes).to.deep.equal(computed.bytes);
    // A run works without a cache too.
    const broken = () => Promise.reject(Object.assign(new Error(''), { name: 'QuotaExceededError' }));
    const without = await run(gpu, { model, referenceCache: { get: broken, put: broken } });
    const notices = without.events.filter((event) => event.type === 'notice').map(({ text }) => text);
    expect(notices).to.have.length(2);
    for (const notice of notices)
      expect(notice).to.match(/^The (cached )?reference .*: QuotaExceededError\.$/);
    expect(without.bytes).to.deep.equal(computed.bytes);
    model.dispose();
  });

  it('learns: on its own pairs the accuracy reaches 1', async () => {
    const { events } = await run(await testGpu(), { args: { numTrainEpochs: 20 }, evalPairs: PAIRS });
    const last = events.findLast((event) => event.type === 'evaluate');
    expect(last?.metrics['eval_rewards/accuracies']).to.equal(1);
  });

  it('trains all weights against the first ones as reference', async () => {
    const gpu = await testGpu();
    const results = [];
    for (const gradientCheckpointing of [false, true]) {
      const model = await loadFixture(gpu, undefined, true);
      const args = { ...SMALL, learningRate: 1e-3, gradientCheckpointing };
      const trainer = new DPOTrainer({ model, args, trainDataset: PAIRS, peftConfig: null });
      const events: TrainEvent[] = [];
      for await (const event of trainer.train()) events.push(event);
      expect(losses(events)[0]).to.be.closeTo(Math.LN2, 1e-6);
      expect(losses(events).at(-1)).to.be.below(0.6);
      results.push(await model.parameters?.read('values'));
      trainer.dispose();
      model.dispose();
    }
    expect(results[1]).to.deep.equal(results[0]);
  });

  it('never holds a buffer of N × V and frees its memory', async () => {
    const gpu = await freshGpu();
    const model = await loadFixture(gpu);
    const before = gpu.memory().live;
    const sizes: number[] = [];
    const allocate = gpu.pool.allocate.bind(gpu.pool);
    gpu.pool.allocate = (size, label, options) => {
      sizes.push(size);
      return allocate(size, label, options);
    };
    const pairs = Array.from({ length: 6 }, (_, i) => ({
      prompt: [1, 2, 3],
      chosen: Array.from({ length: 40 }, (_, j) => (i + j) % 97),
      rejected: Array.from({ length: 40 }, (_, j) => (i * j) % 97),
    }));
    await run(gpu, { model, pairs, args: { perDeviceTrainBatchSize: 6, maxSteps: 2 } });
    const rows = pairs.length * 80;
    expect(Math.max(...sizes)).to.be.below(rows * model.config.vocabSize * 4);
    expect(gpu.memory().live).to.equal(before);
    model.dispose();
    gpu.dispose();
  });

  it('creates no buffer and no bind group after the second step if batches have equal shapes', async () => {
    const gpu = await freshGpu();
    const pair = { prompt: [1, 2, 3], chosen: [4, 5, 6], rejected: [7, 8, 9, 10] };
    const seen: number[][] = [];
    const model = await loadFixture(gpu);
    const trainer = new DPOTrainer({
      model,
      args: { ...SMALL, maxSteps: 12, perDeviceTrainBatchSize: 2 },
      trainDataset: [pair, pair],
      peftConfig: LORA,
    });
    for await (const event of trainer.train()) {
      if (event.type === 'step') seen.push([gpu.memory().created, gpu.recorder.report.bindGroups]);
    }
    expect(seen.at(-1)).to.deep.equal(seen[5]);
    gpu.dispose();
  });

  it('reports before training that a run exceeds the memory cap', async () => {
    const gpu = await freshGpu({ memoryCap: 600_000 });
    const error = await run(gpu, { args: { perDeviceTrainBatchSize: 12 } }).catch((reason) => reason);
    expect(error).to.be.instanceOf(MemoryCapError);
    expect(error.message).to.match(/needs .* more than the cap of .*Lower the batch size/);
    gpu.dispose();
  });

  it('names an id outside the vocabulary and an unknown target module', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const bad = [{ prompt: [1], chosen: [97], rejected: [2] }];
    expect(() => new DPOTrainer({ model, trainDataset: bad })).to.throw(
      InputError,
      /row 1: 97 is not a token id/,
    );
    const targets = { peftConfig: { targetModules: ['q_proj', 'w_proj', 'z_proj'] }, trainDataset: PAIRS };
    expect(() => new DPOTrainer({ model, ...targets })).to.throw(
      InputError,
      /w_proj.*z_proj.*q_proj.*down_proj/s,
    );
    model.dispose();
  });
});
