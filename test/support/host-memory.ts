/**
 * Bytes that JavaScript keeps alive in Node, measured after garbage collection, so that a test can check that they return
 * to their earlier level. GPU memory is reported by the pool.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** Collects garbage, and what only finalizers and promises of the first pass release. */
export async function collectGarbage(): Promise<void> {
  for (let pass = 0; pass < 3; pass++) {
    // Callbacks of the device and finalizers are separate tasks.
    await wait(2);
    gc();
  }
}

/** Bytes of live objects. `external` includes array buffers. */
export async function hostBytes(): Promise<number> {
  await collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Host bytes of repeated work. The first round fills caches, so the second one is the reference. */
export class HostGrowth {
  private readonly bytes: number[] = [];

  async measure(): Promise<void> {
    this.bytes.push(await hostBytes());
  }

  get measurements(): number {
    return this.bytes.length;
  }

  /** The most bytes above the second measurement in any later one. */
  get most(): number {
    const [, second, ...later] = this.bytes;
    if (second === undefined || later.length === 0)
      throw new Error('Growth needs at least three measurements.');
    return Math.max(...later) - second;
  }
}

/** The growth over this many rounds of `work`. */
export async function growthOver(rounds: number, work: (round: number) => Promise<unknown>): Promise<number> {
  const growth = new HostGrowth();
  for (let round = 0; round < rounds; round++) {
    await work(round);
    await growth.measure();
  }
  return growth.most;
}
