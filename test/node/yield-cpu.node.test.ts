/**
 * Waiting with a software adapter: every turn of the event loop sleeps once while something is awaited, however many waits
 * there have been, and not at all if nothing is awaited.
 */
import { expect } from 'chai';
import { yieldCpuWhileWaiting } from '../../src/node/yield-cpu.ts';

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('node/yield-cpu', () => {
  const { wait } = Atomics;
  let sleeps = 0;
  /** What settles a wait. */
  let answer: () => Promise<void>;
  let queue: { onSubmittedWorkDone(): Promise<void> };
  let buffer: { mapAsync(): Promise<void> };
  let device: { createComputePipelineAsync(): Promise<void> };

  beforeEach(() => {
    Atomics.wait = () => {
      sleeps++;
      return 'timed-out';
    };
    queue = { onSubmittedWorkDone: () => answer() };
    buffer = { mapAsync: () => answer() };
    device = { createComputePipelineAsync: () => answer() };
    yieldCpuWhileWaiting({
      GPUQueue: { prototype: queue },
      GPUBuffer: { prototype: buffer },
      GPUDevice: { prototype: device },
    });
  });
  afterEach(() => {
    Atomics.wait = wait;
  });

  /** The sleeps of one turn of the event loop while `begin`'s result is awaited, and of one turn after it has arrived. */
  async function sleepsWhile(begin: () => Promise<void>): Promise<[during: number, after: number]> {
    let release = () => {};
    answer = () => new Promise((resolve) => (release = resolve));
    const awaited = begin();
    const during = await sleepsOfATurn();
    release();
    await awaited;
    return [during, await sleepsOfATurn()];
  }

  async function sleepsOfATurn(): Promise<number> {
    await nextTurn();
    const before = sleeps;
    await nextTurn();
    return sleeps - before;
  }

  it('sleeps once per turn while the device works, copies or compiles, and not afterwards', async () => {
    expect(await sleepsWhile(() => queue.onSubmittedWorkDone())).to.deep.equal([1, 0]);
    expect(await sleepsWhile(() => buffer.mapAsync())).to.deep.equal([1, 0]);
    expect(await sleepsWhile(() => device.createComputePipelineAsync())).to.deep.equal([1, 0]);
  });

  it('sleeps no more often after many waits in a row', async () => {
    answer = nextTurn;
    for (let i = 0; i < 50; i++) await queue.onSubmittedWorkDone();
    expect(await sleepsWhile(() => queue.onSubmittedWorkDone())).to.deep.equal([1, 0]);
  });
});
