/** The norm of all gradients and its clipping factor, also if it is zero, huge or not a number. */
import { expect } from 'chai';
import { gradNorm } from '../../src/ops/grad-norm.ts';
import { random } from '../reference/compare.ts';
import * as reference from '../reference/grad-norm.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { asDevices } from '../support/op.ts';

async function normAndFactor(gradients: Float32Array, maxNorm: number): Promise<[number, number][]> {
  const results: [number, number][] = [];
  for (const { gpu: device } of asDevices(await testGpu())) {
    const { gpu, check } = guards(device);
    const clip = gpu.pool.allocate(8, 'clip');
    gradNorm(gpu, gpu.upload(gradients, 'gradients'), clip, maxNorm);
    const [norm, factor] = new Float32Array(await gpu.read(clip), 0, 2);
    results.push([norm, factor]);
    await check();
  }
  return results;
}

describe('gradNorm', () => {
  for (const count of [1, 6, 42, 123, 431, 20_000]) {
    it(`${count} gradients`, async () => {
      const gradients = Float32Array.from(random(count).normals(count, 0.1));
      const norm = reference.gradNorm([gradients]);
      for (const maxNorm of [0.5, 1e6]) {
        const factor = reference.clipCoefficient(norm, maxNorm);
        for (const [actualNorm, actualFactor] of await normAndFactor(gradients, maxNorm)) {
          // Squares are all positive: no cancellation, a few units in the last place.
          expect(actualNorm).to.be.closeTo(norm, 2e-6 * norm);
          expect(actualFactor).to.be.closeTo(factor, 2e-6 * factor);
        }
      }
    });
  }

  it('does not clip gradients of zero', async () => {
    for (const result of await normAndFactor(new Float32Array(300), 1)) expect(result).to.deep.equal([0, 1]);
  });

  for (const [name, bad] of [
    ['NaN', Number.NaN],
    ['infinite', Number.POSITIVE_INFINITY],
    ['too large to be squared', 1e30],
  ] as const) {
    it(`marks a gradient that is ${name}`, async () => {
      const gradients = new Float32Array(431).fill(0.1);
      gradients[300] = bad;
      for (const [norm, factor] of await normAndFactor(gradients, 1)) {
        expect(Number.isFinite(norm)).to.equal(false);
        expect(factor).to.equal(-1);
      }
    });
  }

  it('is deterministic', async () => {
    const gradients = Float32Array.from(random(2).normals(4567));
    expect(await normAndFactor(gradients, 1)).to.deep.equal(await normAndFactor(gradients, 1));
  });
});
