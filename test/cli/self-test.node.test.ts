/** The self-test of `webalign doctor` passes on a device that ends loops at our limit; without that limit its long rows fail. */
import { expect } from 'chai';
import { runSelfTest } from '../../src/cli/self-test.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { LOOP_LIMIT } from '../../src/gpu/loops.ts';
import { gpuEndingLoops } from '../support/ending-loops.ts';

describe('the self-test', () => {
  it('passes on a device that ends loops at the limit', async () => {
    const gpu = await gpuEndingLoops(LOOP_LIMIT);
    const failed = (await runSelfTest(gpu)).filter(({ passed }) => !passed);
    expect(failed).to.deep.equal([]);
    gpu.dispose();
  });

  it('fails for long rows if kernels exceed the limit of the device', async () => {
    const ending = await gpuEndingLoops(LOOP_LIMIT);
    const careless: Gpu = Object.create(ending, {
      rowThreads: { value: 4 },
      loopLimit: { value: 2 ** 31 },
    });
    const results = await runSelfTest(careless);
    for (const { name, passed } of results)
      expect(passed, name).to.equal(!/200,000 a row/.test(name) || /^head/.test(name));
    expect(results.filter(({ passed }) => !passed).length).to.be.at.least(9);
    ending.dispose();
  });
});
