/** The check of a device's quads: passed here, and failed if threads get the wrong numbers or the shader is refused. */
import { expect } from 'chai';
import { Gpu } from '../../src/gpu/device.ts';
import { quadsExchange } from '../../src/gpu/quads.ts';
import { freshGpu, platformGpu } from '../support/gpu.ts';
import { mistaking } from '../support/mistaking-gpu.ts';

describe('quads', () => {
  before(async function needsSubgroups() {
    const adapter = await (await platformGpu()).requestAdapter();
    if (!adapter?.features.has('subgroups')) this.skip(); // there is nothing to try, and no kernel that would use it
  });

  it('exchange numbers on this adapter', async () => {
    const gpu = await freshGpu();
    expect(gpu.device.features.has('subgroups')).to.equal(true);
    expect(await quadsExchange(gpu.device)).to.equal(true);
    expect(gpu.adapter.features).to.include('subgroups');
    gpu.dispose();
  });

  for (const [what, text, other] of [
    ['values come from the wrong thread', 'quadSwapX(own)', 'quadSwapY(own)'],
    ['no value is received', 'quadBroadcast(own, 2u)', 'own'],
    ['the shader is refused', 'quadSwapY(own)', 'quadSwapZ(own)'],
  ] as const) {
    it(`are not used, with a notice, if ${what}`, async () => {
      const notices: string[] = [];
      const gpu = await Gpu.request(await mistaking(text, other), { onNotice: (line) => notices.push(line) });
      expect(gpu.adapter.features).not.to.include('subgroups');
      expect(notices).to.deep.equal(['The subgroups of this adapter compute wrongly and are left alone.']);
      expect(gpu.adapter.warning).to.equal(notices[0]);
      gpu.check();
      gpu.dispose();
    });
  }
});
