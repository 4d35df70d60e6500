/**
 * The profile of an adapter: what the device takes from the adapter's report, and that a counting device has the profile of
 * its original.
 */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import { PROFILES, profileOf } from '../../src/gpu/profile.ts';
import { testGpu } from '../support/gpu.ts';

describe('the profile of an adapter', () => {
  it('has a row for each kind', () => {
    for (const [kind, profile] of Object.entries(PROFILES)) expect(profile.kind).to.equal(kind);
    expect(profileOf({ software: true })).to.equal(PROFILES.software);
    expect(profileOf({ software: false })).to.equal(PROFILES.hardware);
  });

  it("is made from the device's report, and counting devices have it too", async () => {
    const real = await testGpu();
    expect(real.adapterProfile).to.equal(profileOf(real.adapter));
    const other: Gpu = Object.create(real, { adapterProfile: { value: PROFILES.hardware } });
    expect(other.rowThreads).to.equal(64);
    expect(other.countingCopy().rowThreads).to.equal(64);
  });
});
