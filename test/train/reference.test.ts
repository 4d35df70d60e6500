/** A reference that is computed when its examples are used gives the same bytes as one that is computed beforehand. */
import { expect } from 'chai';
import type { TokenizedPair } from '../../src/data/packing.ts';
import { type CheckpointStore, memoryCheckpointStore } from '../../src/io/checkpoint.ts';
import { writeAdapter } from '../../src/io/peft.ts';
import { memoryReferenceCache, type ReferenceCache } from '../../src/io/reference-cache.ts';
import type { DPOArgs } from '../../src/train/config.ts';
import { DPOTrainer } from '../../src/train/dpo-trainer.ts';
import type { TrainEvent } from '../../src/train/events.ts';
import { ReferenceValues } from '../../src/train/references/reference-values.ts';
import { loadFixture, randomPairs } from '../model/tiny.ts';
import { testGpu } from '../support/gpu.ts';

const PAIRS = randomPairs(11, 22);
const HELD_OUT = randomPairs(5, 23);
const ARGS: DPOArgs = { learningRate: 5e-3, perDeviceTrainBatchSize: 4, perDeviceEvalBatchSize: 3, seed: 3 };
const LORA = { r: 4, targetModules: ['q_proj', 'down_proj'] };

interface Run {
  args?: DPOArgs;
  checkpoint?: CheckpointStore;
  referenceCache?: ReferenceCache;
  stopAfter?: number;
  evalPairs?: readonly TokenizedPair[];
  /** Trains all weights. */
  full?: boolean;
}

async function run({ args, stopAfter, full = false, evalPairs = HELD_OUT, ...stores }: Run) {
  const gpu = await testGpu();
  const model = await loadFixture(gpu, undefined, full);
  const trainer = new DPOTrainer({
    model,
    args: { ...ARGS, ...args },
    trainDataset: PAIRS,
    evalDataset: evalPairs,
    peftConfig: full ? null : LORA,
    ...stores,
  });
  const stop = new AbortController();
  const events: TrainEvent[] = [];
  for await (const event of trainer.train({ signal: stop.signal })) {
    events.push(event);
    if (event.type === 'step' && event.step === stopAfter) stop.abort();
  }
  const bytes = trainer.adapter
    ? writeAdapter(await trainer.adapter.toAdapter())['adapter_model.safetensors']
    : await model.parameters?.read('values');
  const log = trainer.logHistory;
  trainer.dispose();
  model.dispose();
  const firstStep = events.findIndex(({ type }) => type === 'step');
  const before = events.slice(0, firstStep).filter(({ type }) => type === 'reference');
  return { events, log, bytes, before };
}

const WAYS = { ahead: { precomputeRefLogProbs: true }, due: { precomputeRefLogProbs: false } };

describe('train/reference', () => {
  for (const [name, args] of Object.entries({
    'less than an epoch': { maxSteps: 2 },
    'two epochs': { numTrainEpochs: 2, evalSteps: 2 },
  })) {
    it(`gives the same bytes in advance and on demand, in ${name}`, async () => {
      const ahead = await run({ args: { ...args, ...WAYS.ahead } });
      const due = await run({ args: { ...args, ...WAYS.due } });
      expect([ahead.before.length > 0, due.before.length > 0]).to.deep.equal([true, false]);
      expect(due.bytes).to.deep.equal(ahead.bytes);
      expect(due.log).to.deep.equal(ahead.log);
    });
  }

  it('is computed in advance in runs of an epoch, and on demand in shorter ones', async () => {
    expect((await run({ args: { numTrainEpochs: 1 } })).before).not.to.be.empty;
    expect((await run({ args: { maxSteps: 2 } })).before).to.be.empty;
  });

  it('resumes with the same bytes after a stop', async () => {
    const args = { numTrainEpochs: 2, evalSteps: 3, ...WAYS.due };
    const whole = await run({ args });
    const checkpoint = memoryCheckpointStore();
    await run({ args, checkpoint, stopAfter: 2 });
    const resumed = await run({ args, checkpoint });
    expect(resumed.bytes).to.deep.equal(whole.bytes);
    expect(resumed.log).to.deep.equal(whole.log);
  });

  it('is stored once it is complete, and serves both ways', async () => {
    const referenceCache = memoryReferenceCache();
    const isCached = ({ events }: { events: TrainEvent[] }) =>
      events.filter((event) => event.type === 'reference' && event.cached).length;
    const due = await run({ args: { numTrainEpochs: 1, ...WAYS.due }, referenceCache });
    const ahead = await run({ args: { numTrainEpochs: 1, ...WAYS.ahead }, referenceCache });
    const again = await run({ args: { numTrainEpochs: 1, ...WAYS.due }, referenceCache });
    expect([due, ahead, again].map(isCached)).to.deep.equal([0, 2, 2]);
    expect(ahead.bytes).to.deep.equal(due.bytes);
    expect(again.bytes).to.deep.equal(due.bytes);
  });

  it('is the model before the first step if all weights train, whatever the settings', async () => {
    const ahead = await run({ args: { maxSteps: 2, ...WAYS.ahead }, full: true });
    const due = await run({ args: { maxSteps: 2, ...WAYS.due }, full: true });
    expect(due.bytes).to.deep.equal(ahead.bytes);
    expect(due.log).to.deep.equal(ahead.log);
  });

  it('scores adjacent examples of the list together', () => {
    const examples = Array.from({ length: 7 }, (_, i) => ({ prompt: [i], completions: [[1], [2, 3]] }));
    const values = new ReferenceValues(examples, 3);
    expect(values.open([examples[6], examples[1], examples[0]])).to.deep.equal([0, 2]);
    expect(values.of(examples[1])).to.equal(undefined);
    values.fill(
      0,
      Float32Array.from({ length: 9 }, (_, i) => i),
    );
    expect([...(values.of(examples[1]) ?? [])]).to.deep.equal([3, 4, 5]);
    expect(values.open(examples)).to.deep.equal([1, 2]);
    expect(values.fillAll(new Float32Array(20))).to.equal(false);
    expect(values.fillAll(new Float32Array(21).fill(7))).to.equal(true);
    expect([...(values.of(examples[6]) ?? [])]).to.deep.equal([7, 7, 7]);
    expect(values.isComplete).to.equal(true);
  });
});
