/** Training on a quantised base: the same run as on its values in float32, and cached references kept apart. */
import { expect } from 'chai';
import { memoryReferenceCache } from '../../src/io/reference-cache.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import type { LoadDtype } from '../../src/model/precision.ts';
import { DPOTrainer } from '../../src/train/dpo-trainer.ts';
import { planMemory } from '../../src/train/memory-plan.ts';
import { filesOf, randomPairs, roundedTo } from '../model/tiny.ts';
import { relativeL2 } from '../reference/compare.ts';
import { tinyLlama } from '../reference/fixtures.ts';
import { COARSE_TIPS } from '../support/coarse.ts';
import { freshGpu, testGpu } from '../support/gpu.ts';
import { eachStep, LORA, trained } from './runs.ts';

const PAIRS = randomPairs(24, 9);
const ARGS = { learningRate: 5e-3, perDeviceTrainBatchSize: 4, maxSteps: 30, seed: 3 };
const trainer = (model: CausalLM) =>
  new DPOTrainer({ model, args: ARGS, trainDataset: PAIRS, peftConfig: LORA });

describe('training on a quantised base', () => {
  it('takes the same 30 steps as on its values in float32', async () => {
    const gpu = await testGpu();
    const quantised = await trained(gpu, trainer, undefined, (device) =>
      CausalLM.load(device, filesOf(tinyLlama), { dtype: 'q4_0' }),
    );
    const dense = await trained(gpu, trainer, undefined, (device) =>
      CausalLM.load(device, roundedTo('q4_0'), { dtype: 'float32' }),
    );
    const exact = await trained(gpu, trainer);
    const loss = (run: typeof dense) => eachStep(run.events, 'loss');
    expect(loss(quantised)).to.have.length(30);
    // Roundings of the head's sums, 1e-7 of a gradient, which Adam divides by its own size in the first steps: a few 1e-6
    // of a weight, and of a loss near 0.7 after 30 of them.
    expect(relativeL2(loss(quantised), loss(dense))).to.be.below(1e-5 + COARSE_TIPS);
    // Another base is another run: the comparison would see it.
    expect(relativeL2(loss(quantised), loss(exact))).to.be.above(1e-3);
  });

  it('keeps references apart by precision', async () => {
    const gpu = await testGpu();
    const referenceCache = memoryReferenceCache();
    const cached = async (dtype: LoadDtype) => {
      const model = await CausalLM.load(gpu, filesOf(tinyLlama), { dtype });
      const args = { ...ARGS, maxSteps: 1 };
      const run = new DPOTrainer({ model, args, trainDataset: PAIRS, peftConfig: LORA, referenceCache });
      let last: boolean | undefined;
      for await (const event of run.train()) if (event.type === 'reference') last = event.cached;
      run.dispose();
      model.dispose();
      return last;
    };
    expect(await cached('q8_0')).to.equal(false);
    expect(await cached('q4_0')).to.equal(false);
    expect(await cached('q8_0')).to.equal(true);
  });

  it('is planned for what it holds', async () => {
    const gpu = await freshGpu();
    const files = filesOf(tinyLlama);
    const plan = await planMemory(gpu, files, trainer, { dtype: 'q4_0' });
    const full = await planMemory(gpu, files, trainer, { dtype: 'float32' });
    expect(full.parts.weights).to.be.above(3 * plan.parts.weights);
    const model = await CausalLM.load(gpu, files, { dtype: 'q4_0' });
    const run = trainer(model);
    for await (const _ of run.train());
    expect(gpu.memory().peak).to.equal(plan.heldBytes);
    run.dispose();
    model.dispose();
    gpu.dispose();
  });
});
