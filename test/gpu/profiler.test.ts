/** Kernel times by timestamps: every call is counted, across slices, and a device that is lost while calls are timed. */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import { kernels } from '../../src/gpu/kernel.ts';
import { profile } from '../../src/gpu/profiler.ts';
import { freshGpu } from '../support/gpu.ts';
import { affine } from '../support/shader.ts';

const { fill } = kernels(affine, { fill: { groups: (p) => p.count } });

describe('the profiler', () => {
  let gpu: Gpu;
  before(async function () {
    gpu = await freshGpu();
    if (!gpu.device.features.has('timestamp-query')) this.skip();
  });
  after(() => gpu.dispose());

  function slices(count: number): void {
    const y = gpu.pool.allocate(16, 'y');
    for (let i = 0; i < count; i++) {
      fill(gpu, { y }, { count: 4, a: i, b: 0 });
      gpu.recorder.flush();
    }
    gpu.pool.release(y);
  }

  it('counts the calls of every slice, and restarts on request', async () => {
    const first = profile(gpu);
    slices(5);
    const [time] = await first.report();
    expect(time).to.include({ label: 'test.wgsl:fill', calls: 5 });
    const second = profile(gpu);
    slices(2);
    expect((await second.report())[0]).to.include({ calls: 2 });
    expect((await first.report())[0]).to.include({ calls: 5 });
  });

  it('rejects its report, or completes it, if the device ends first, and rejects nothing else', async () => {
    const profiler = profile(gpu);
    slices(2);
    gpu.dispose();
    await new Promise((resolve) => setTimeout(resolve, 10)); // the runner reports what nobody has handled
    const outcome = await profiler.report().then(
      (times) => times.map(({ calls }) => calls),
      (error: unknown) => error,
    );
    // Deno maps a buffer whose copy has ended before the device.
    if (Array.isArray(outcome)) expect(outcome).to.deep.equal([2]);
    else expect(outcome).to.be.instanceOf(Error);
  });
});
