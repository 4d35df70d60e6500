/** Every wait for a device ends when the device is lost or disposed of, in the middle of any work. */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import { DeviceLostError, GpuError } from '../../src/gpu/errors.ts';
import { kernels } from '../../src/gpu/kernel.ts';
import { Waits } from '../../src/gpu/waits.ts';
import type { CausalLM } from '../../src/model/causal-lm.ts';
import { streamGeneration } from '../../src/model/generation.ts';
import { DPOTrainer } from '../../src/train/dpo-trainer.ts';
import { sequenceLogprobs } from '../../src/train/measures/sequence-logprobs.ts';
import { loadFixture, randomPairs } from '../model/tiny.ts';
import { freshGpu } from '../support/gpu.ts';
import { affine } from '../support/shader.ts';

const { fill } = kernels(affine, { fill: { groups: (p) => p.count } });

/** What a promise rejects with. */
async function failureOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing failed');
}

/** Never settles by itself. */
const never = <T>() => new Promise<T>(() => {});

/** Rejections arrive a few turns of the event loop later. */
const turn = () => new Promise((resolve) => setTimeout(resolve));

describe('waits', () => {
  it('settle like the awaited promise', async () => {
    const waits = new Waits();
    expect(await waits.for(Promise.resolve(7))).to.equal(7);
    expect(await failureOf(waits.for(Promise.reject(new Error('its own'))))).to.have.property(
      'message',
      'its own',
    );
  });

  it('reject when the device ends, all pending and later ones', async () => {
    const waits = new Waits();
    const failures = [1, 2, 3].map(() => failureOf(waits.for(never())));
    const end = new Error('the end');
    waits.end(end);
    expect(await Promise.all(failures)).to.deep.equal([end, end, end]);
    expect(await failureOf(waits.for(never()))).to.equal(end);
  });

  it('leave no unhandled rejection if the awaited promise rejects too', async () => {
    const waits = new Waits();
    let reject = (_: Error) => {};
    const pending = new Promise<never>((_, fail) => {
      reject = fail;
    });
    const first = failureOf(waits.for(pending));
    waits.end(new Error('the end'));
    const second = failureOf(waits.for(pending));
    reject(new Error('late'));
    expect([(await first).message, (await second).message]).to.deep.equal(['the end', 'the end']);
    await turn(); // the runner reports what nobody has handled
  });
});

describe('a device that is disposed', () => {
  /** The message: what happened, and what to do. */
  function expectDisposed(error: Error): void {
    expect(error).to.be.instanceOf(GpuError).and.not.instanceOf(DeviceLostError);
    expect(error.message).to.match(
      /^The GPU device was disposed before this work had finished\. Call dispose\(\) after .* request a new device/,
    );
  }

  it('rejects pending reads, waits and compilations', async () => {
    const gpu = await freshGpu();
    const y = gpu.pool.allocate(16, 'y');
    fill(gpu, { y }, { count: 4, a: 1, b: 1 });
    const unsubmitted = gpu.recorder.read(y);
    const waiting = [
      gpu.read(y),
      gpu.finish(),
      gpu.compile([fill.key({ OFFSET: 3 })]),
      gpu.settle(never()),
      gpu.countingCopy().settle(never()),
    ].map(failureOf);
    gpu.dispose();
    for (const failure of await Promise.all(waiting)) expectDisposed(failure);
    await unsubmitted.catch(() => undefined);
  });

  it('rejects later requests', async () => {
    const gpu = await freshGpu();
    const y = gpu.pool.allocate(16, 'y');
    gpu.dispose();
    gpu.dispose(); // once more changes nothing
    expect(() => gpu.check()).to.throw(GpuError, 'was disposed');
    expectDisposed(await failureOf(gpu.read(y)));
    expectDisposed(await failureOf(gpu.finish()));
    expectDisposed(await failureOf(gpu.compile([fill.key({ OFFSET: 4 })])));
  });

  it('still reports an earlier failure first', async () => {
    const gpu = await freshGpu();
    const waiting = failureOf(gpu.settle(never()));
    gpu.device.destroy();
    expect(await waiting).to.be.instanceOf(DeviceLostError);
    gpu.dispose();
    expect(await failureOf(gpu.finish())).to.equal(await waiting);
  });

  const pairs = randomPairs(8, 3);
  const sequences = pairs.map(({ prompt, chosen }) => ({ prompt, completion: chosen }));
  const prompts = pairs.map(({ prompt }) => prompt);
  const options = { maxNewTokens: 20, eosTokenIds: [] };
  const trainerOf = (model: CausalLM) =>
    new DPOTrainer({
      model,
      args: { perDeviceTrainBatchSize: 2, maxSteps: 20, evalSteps: 2 },
      trainDataset: pairs,
      evalDataset: pairs,
    });

  const works: Record<string, (gpu: Gpu, model: CausalLM) => Promise<unknown>> = {
    'a training run': async (gpu, model) => {
      for await (const { type } of trainerOf(model).train()) if (type === 'step') gpu.dispose();
    },
    'an evaluation': (gpu, model) => {
      turn().then(() => gpu.dispose());
      return trainerOf(model).evaluate();
    },
    'a generation': async (gpu, model) => {
      for await (const _ of streamGeneration(model, prompts, options)) gpu.dispose();
    },
    'scoring sequences': (gpu, model) =>
      sequenceLogprobs(model, sequences, { batchTokens: 16, onProgress: () => gpu.dispose() }),
  };
  for (const [name, work] of Object.entries(works)) {
    it(`ends ${name} in the middle`, async () => {
      const gpu = await freshGpu();
      expectDisposed(await failureOf(work(gpu, await loadFixture(gpu))));
      await turn(); // the runner reports what nobody has handled
    });
  }
});
