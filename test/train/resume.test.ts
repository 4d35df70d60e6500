/**
 * Resuming from a checkpoint: what may change is recorded, what may not is named, a finished run is continued for more
 * steps, and a loss that is not a number leaves a checkpoint to resume from.
 */
import { expect } from 'chai';
import { type CheckpointStore, decodeCheckpoint, memoryCheckpointStore } from '../../src/io/checkpoint.ts';
import { InputError } from '../../src/io/errors.ts';
import type { ReferenceCache } from '../../src/io/reference-cache.ts';
import type { DPOConfig } from '../../src/train/config.ts';
import { DPOTrainer } from '../../src/train/dpo-trainer.ts';
import { NonFiniteLossError } from '../../src/train/errors.ts';
import type { TrainEvent } from '../../src/train/events.ts';
import { randomPairs } from '../model/tiny.ts';
import { testGpu } from '../support/gpu.ts';
import { eachStep, LORA, trained } from './runs.ts';

const PAIRS = randomPairs(12, 21);
const SMALL: Partial<DPOConfig> = { learningRate: 5e-3, perDeviceTrainBatchSize: 4, seed: 3 };

interface RunOptions {
  args: Partial<DPOConfig>;
  /** On a device that only counts, so the values of numbers do not matter. */
  isCounted?: boolean;
  pairs?: ReturnType<typeof randomPairs>;
  evalPairs?: ReturnType<typeof randomPairs>;
  checkpoint?: CheckpointStore;
  referenceCache?: ReferenceCache;
}

async function run({ args, pairs = PAIRS, evalPairs = [], isCounted = false, ...stores }: RunOptions) {
  const gpu = await testGpu();
  return trained(
    isCounted ? gpu.countingCopy() : gpu,
    (model) =>
      new DPOTrainer({
        model,
        args: { ...SMALL, ...args },
        trainDataset: pairs,
        evalDataset: evalPairs,
        peftConfig: LORA,
        ...stores,
      }),
  );
}

async function kept(checkpoint: CheckpointStore) {
  const { state, tensors } = await decodeCheckpoint((await checkpoint.read()) as never, 'kept');
  return { state: state as unknown as { step: number; changes: unknown[] }, tensors };
}

describe('resuming from a checkpoint', () => {
  it('rejects a checkpoint of another run, and says what differs', async () => {
    const checkpoint = memoryCheckpointStore();
    const args = { maxSteps: 2 };
    await run({ isCounted: true, checkpoint, args });
    const refused = async (options: RunOptions) => {
      const error = await run({ isCounted: true, checkpoint, ...options }).catch((reason) => reason);
      expect(error).to.be.instanceOf(InputError);
      return error.message;
    };
    expect(await refused({ args: { ...args, beta: 0.5, seed: 4 } })).to.match(
      /seed was 3 and is now 4; beta was 0.1 and is now 0.5/,
    );
    expect(await refused({ args, pairs: PAIRS.slice(1) })).to.include('another training data');
    expect(await refused({ args: { maxSteps: 1 } })).to.match(/is at step 2.*ends after 1.*maxSteps/);
  });

  it('continues from a checkpoint that has the loss as its name or as a list of it', async () => {
    for (const [first, second] of [
      ['sigmoid', ['sigmoid']],
      [['ipo'], 'ipo'],
    ] as const) {
      const checkpoint = memoryCheckpointStore();
      await run({ isCounted: true, checkpoint, args: { maxSteps: 1, lossType: first } });
      const args = { maxSteps: 2, lossType: second };
      const { events } = await run({ isCounted: true, checkpoint, args });
      const [start] = events as Extract<TrainEvent, { type: 'start' }>[];
      expect(start.resumedFrom).to.equal(1);
      expect(start.changed).to.deep.equal([{ step: 1, name: 'maxSteps', old: 1, new: 2 }]);
      const other = run({ isCounted: true, checkpoint, args: { ...args, lossType: ['hinge'] } });
      expect((await other.catch((reason) => reason)).message).to.match(
        /lossType was .* and is now \["hinge"\]/,
      );
    }
  });

  it('continues longer than planned, with the schedule of the new length, and records the change', async () => {
    const [checkpoint, early] = [memoryCheckpointStore(), memoryCheckpointStore()];
    await run({ isCounted: true, checkpoint, args: { maxSteps: 2 } });
    const args = { maxSteps: 5, evalSteps: 2 };
    const more = await run({ isCounted: true, checkpoint, args, evalPairs: randomPairs(5, 22) });
    expect(more.events.at(-1)).to.include({ step: 5, completed: true });
    const rates = eachStep(more.events, 'learning_rate');
    const whole = await run({ isCounted: true, args: { maxSteps: 5 }, checkpoint: early });
    expect(rates).to.deep.equal(eachStep(whole.events, 'learning_rate').slice(2));
    const changes = (await kept(checkpoint)).state.changes as { step: number; name: string }[];
    expect(changes.map(({ step, name }) => [step, name])).to.deep.equal([
      [2, 'maxSteps'],
      [2, 'evalSteps'],
      [2, 'evaluation data'],
    ]);
  });

  it('stops at a NaN loss; the checkpoint is from before, and a lower rate resumes from it', async () => {
    const checkpoint = memoryCheckpointStore();
    // The first step of a warm-up has rate 0; one step of the second's size overflows in the next forward pass.
    const wild = {
      lrSchedulerType: 'constant_with_warmup',
      warmupSteps: 4,
      maxSteps: 8,
      saveSteps: 1,
    } as const;
    const args = { ...wild, learningRate: 3e38 };
    const error = await run({ args, checkpoint }).catch((reason) => reason);
    expect(error).to.be.instanceOf(NonFiniteLossError);
    expect(error.message).to.match(/^step 3: the loss is NaN.*the run after step 1: resume with a lower/);
    expect((await kept(checkpoint)).state).to.include({ step: 1 });
    const { events } = await run({ args: { ...args, learningRate: 1e-3, maxSteps: 3 }, checkpoint });
    const [start] = events as Extract<TrainEvent, { type: 'start' }>[];
    expect(start.resumedFrom).to.equal(1);
    expect(start.changed).to.deep.equal([
      { step: 1, name: 'learningRate', old: 3e38, new: 1e-3 },
      { step: 1, name: 'maxSteps', old: 8, new: 3 },
    ]);
    expect(events.at(-1)).to.include({ type: 'end', step: 3, completed: true });
  });

  it('keeps the weights from before a NaN loss, if they are finite', async () => {
    const args = { lrSchedulerType: 'constant', shuffleDataset: false, saveSteps: 0 } as const;
    const [whole, checkpoint] = [memoryCheckpointStore(), memoryCheckpointStore()];
    await run({ args: { ...args, maxSteps: 2 }, checkpoint: whole });
    // For the last pair the reference is not a number: it is in the third step.
    const values = new Map<string, Float32Array>();
    const referenceCache: ReferenceCache = {
      get: async (key) => values.get(key),
      put: async (key, found) => void values.set(key, found.with(-1, Number.NaN)),
    };
    const odd = { args: { ...args, maxSteps: 3 }, referenceCache };
    await run(odd);
    const error = await run({ ...odd, checkpoint }).catch((reason) => reason);
    expect(error).to.be.instanceOf(NonFiniteLossError);
    expect(error.message).to.match(/^step 3: .*keeps the run after step 2/);
    expect([...(await kept(checkpoint)).tensors]).to.deep.equal([...(await kept(whole)).tensors]);
  });
});
