/**
 * WebGPU's flags, beside the globals of the browser or of Dawn.
 */
import { expect } from 'chai';
import * as flags from '../../src/gpu/flags.ts';
import { platformGpu } from '../support/gpu.ts';

describe('flags of WebGPU', () => {
  it('have the values of the globals', async () => {
    // In Node the globals come with Dawn.
    await platformGpu();
    for (const [name, values] of Object.entries(flags)) {
      const global = Reflect.get(globalThis, name) as Readonly<Record<string, number>>;
      for (const [flag, value] of Object.entries(values))
        expect(value, `${name}.${flag}`).equal(global[flag]);
      expect(Object.keys(values).length, name).greaterThan(1);
    }
  });
});
