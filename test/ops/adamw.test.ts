/** AdamW with clipping over thirty steps, compared with torch's, and what it does with gradients that are not finite. */
import { expect } from 'chai';
import { adamw } from '../../src/ops/adamw.ts';
import { gradNorm } from '../../src/ops/grad-norm.ts';
import { ParameterStore } from '../../src/tensor/parameters.ts';
import { expectClose } from '../reference/compare.ts';
import { optimizer } from '../reference/fixtures.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';

type Run = (typeof optimizer.adamw)[number];

const name = (index: number): string => `parameter ${index}`;
const named = (arrays: readonly (readonly number[])[]): Map<string, Float32Array> =>
  new Map(arrays.map((values, i) => [name(i), Float32Array.from(values)]));

const options = (run: Run) => ({
  learningRate: run.learningRate,
  beta1: run.adamBeta1,
  beta2: run.adamBeta2,
  epsilon: run.adamEpsilon,
  weightDecay: run.weightDecay,
});

async function storeFor(run: Run) {
  const { gpu, check } = guards(await testGpu());
  const store = new ParameterStore(
    gpu,
    [...named(run.initial)].map(([label, values]) => ({ name: label, shape: [values.length], values })),
  );
  return { gpu, check, store, clip: gpu.pool.allocate(8, 'clip') };
}

describe('adamw', () => {
  optimizer.adamw.forEach((run, index) => {
    it(`follows torch.optim.AdamW over ${run.steps.length} steps, run ${index + 1}`, async () => {
      const { gpu, check, store, clip } = await storeFor(run);
      for (const [at, step] of run.steps.entries()) {
        store.write('gradients', named(step.gradients));
        gradNorm(gpu, store.slab('gradients'), clip, run.maxGradNorm);
        adamw(gpu, store, clip, at + 1, options(run));
        const [clipped, values] = await Promise.all([gpu.read(clip), store.read('values')]);
        const [norm] = new Float32Array(clipped);
        expect(norm, `norm of step ${at + 1}`).to.be.closeTo(step.norm, 2e-6 * step.norm);
        for (const [label, expected] of named(step.parameters)) {
          // Each step rounds the value once more, and moments by three units in the last place: for steps of 1e-2, less
          // than 1e-7 per step.
          expectClose(values.get(label)!, expected, {
            absolute: 1e-7 * (at + 2),
            relative: 1e-6,
            label: `${label} after step ${at + 1}`,
          });
        }
      }
      const [first, second] = [await store.read('firstMoments'), await store.read('secondMoments')];
      run.finalState.forEach(({ m, v }, i) => {
        expectClose(first.get(name(i))!, m, { absolute: 1e-9, relative: 2e-5, label: 'm' });
        expectClose(second.get(name(i))!, v, { absolute: 1e-12, relative: 2e-5, label: 'v' });
      });
      await check();
    });
  });

  it('changes nothing if the norm is not finite', async () => {
    const run = optimizer.adamw[1];
    const { gpu, check, store, clip } = await storeFor(run);
    const gradients = named(run.steps[0].gradients);
    gradients.get(name(0))![2] = Number.NaN;
    store.write('gradients', gradients);
    gradNorm(gpu, store.slab('gradients'), clip, 1);
    adamw(gpu, store, clip, 1, options(run));
    expect(await store.read('values')).to.deep.equal(named(run.initial));
    for (const slab of ['firstMoments', 'secondMoments'] as const) {
      for (const values of (await store.read(slab)).values())
        expect(Math.max(...values.map(Math.abs))).to.equal(0);
    }
    await check();
  });

  it('does not decay excluded parameters', async () => {
    const { gpu, check } = guards(await testGpu());
    const values = Float32Array.of(1, -2, 3);
    const store = new ParameterStore(gpu, [
      { name: 'weight', shape: [3], values },
      { name: 'bias', shape: [3], values, decays: false },
    ]);
    const clip = gpu.upload(Float32Array.of(0, 1), 'clip');
    store.zeroGradients();
    const decay = { learningRate: 0.5, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1 };
    adamw(gpu, store, clip, 1, decay);
    const after = await store.read('values');
    expectClose(
      after.get('weight')!,
      values.map((value) => value * 0.95),
      { relative: 1e-6 },
    );
    expect(after.get('bias')).to.deep.equal(values);
    await check();
  });
});
