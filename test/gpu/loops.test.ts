/** The trial of a device's loops: what becomes of one that ends them, and of one that does not. */
import { expect } from 'chai';
import { Gpu } from '../../src/gpu/device.ts';
import { loopEndsAfter } from '../../src/gpu/loops.ts';
import { freshGpu, platformGpu } from '../support/gpu.ts';
import { mistaking } from '../support/mistaking-gpu.ts';

describe('the trial of loops', () => {
  it('finds none that end early where none do', async function onlyThere() {
    const gpu = await freshGpu();
    const end = await loopEndsAfter(gpu.device);
    expect(gpu.adapter.warning ?? '').to.satisfy(
      (text: string) => (end === undefined) !== text.includes('loops'),
    );
    gpu.dispose();
    // Where the tests run on such an adapter, that is what they must find.
    if (end !== undefined) expect(end).to.be.at.least(2 * 32_768 - 1);
  });

  it('tells of an adapter that ends loops early, and takes nothing away', async () => {
    const notices: string[] = [];
    const ending = await mistaking('i < counted[0]', 'i < min(counted[0], 65535u)');
    const gpu = await Gpu.request(ending, { onNotice: (line) => notices.push(line) });
    expect(notices).to.deep.equal([
      'This adapter ends the loops of a shader after 65535 iterations in all. The kernels of webalign stay below that; ' +
        'WGSL of your own, such as a loss, computes wrongly where it loops for longer.',
    ]);
    expect(gpu.adapter.warning).to.equal(notices[0]);
    const has = (await (await platformGpu()).requestAdapter())?.features.has('subgroups');
    expect(gpu.adapter.features.includes('subgroups')).to.equal(has);
    gpu.check();
    gpu.dispose();
  });

  it('lets pass what does not even compile, which the first kernel will tell of', async () => {
    const gpu = await Gpu.request(await mistaking('var steps = 0u', 'var steps = 0.5u'));
    expect(gpu.adapter.warning).to.equal(undefined);
    gpu.check();
    gpu.dispose();
  });
});
