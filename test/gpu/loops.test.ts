/** The check of a device's loops: on this device, on one that ends loops early and on one that refuses the shader. */
import { expect } from 'chai';
import { Gpu } from '../../src/gpu/device.ts';
import { loopEndsAfter } from '../../src/gpu/loops.ts';
import { freshGpu, platformGpu } from '../support/gpu.ts';
import { mistaking } from '../support/mistaking-gpu.ts';

describe('the probe of loops', () => {
  it('agrees with the report of this adapter', async () => {
    const gpu = await freshGpu();
    const end = await loopEndsAfter(gpu.device);
    expect(gpu.adapter.warning ?? '').to.satisfy(
      (text: string) => (end === undefined) !== text.includes('loops'),
    );
    gpu.dispose();
    // llvmpipe's limit, if the tests run on it.
    if (end !== undefined) expect(end).to.be.at.least(2 * 32_768 - 1);
  });

  it('warns of an adapter that ends loops early, and disables nothing', async () => {
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

  it('does not warn if the shader does not compile', async () => {
    const gpu = await Gpu.request(await mistaking('var steps = 0u', 'var steps = 0.5u'));
    expect(gpu.adapter.warning).to.equal(undefined);
    gpu.check();
    gpu.dispose();
  });
});
