/**
 * Waiting beside a software adapter: every turn of the event loop sleeps once, however many waits there have been.
 */
import { expect } from 'chai';
import { yieldCpuWhileWaiting } from '../../src/node/yield-cpu.ts';

const nextTurn = () => new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)));

describe('node/yield-cpu', () => {
  const { wait } = Atomics;
  let sleeps = 0;
  beforeEach(() => {
    sleeps = 0;
    Atomics.wait = () => {
      sleeps++;
      return 'timed-out';
    };
  });
  afterEach(() => {
    Atomics.wait = wait;
  });

  /** Waits for the device one after the other; then the sleeps of one turn of the event loop while one more is awaited. */
  async function sleepsAfter(waits: number): Promise<number> {
    let release = () => {};
    const queue = { onSubmittedWorkDone: nextTurn };
    const buffer = { mapAsync: () => new Promise<void>((resolve) => (release = resolve)) };
    yieldCpuWhileWaiting({ GPUQueue: { prototype: queue }, GPUBuffer: { prototype: buffer } });
    for (let i = 0; i < waits; i++) await queue.onSubmittedWorkDone();
    const last = buffer.mapAsync();
    await nextTurn();
    const before = sleeps;
    await nextTurn();
    const slept = sleeps - before;
    release();
    await last;
    return slept;
  }

  it('sleeps once a turn while something is awaited, after one wait and after many', async () => {
    expect(await sleepsAfter(1)).to.equal(1);
    expect(await sleepsAfter(50)).to.equal(1);
  });

  it('does not sleep when nothing is awaited any more', async () => {
    await sleepsAfter(3);
    await nextTurn();
    const before = sleeps;
    await nextTurn();
    expect(sleeps).to.equal(before);
  });
});
