/**
 * Training with fewer bits, of the base or of activations, and without negligible tokens: what stays the same, and how much
 * the rest changes.
 */
import { expect } from 'chai';
import { memoryReferenceCache } from '../../src/io/reference-cache.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import type { LoadDtype } from '../../src/model/precision.ts';
import { DPOTrainer } from '../../src/train/dpo-trainer.ts';
import type { Metrics, TrainEvent } from '../../src/train/events.ts';
import { planMemory } from '../../src/train/memory-plan.ts';
import { filesOf, loadFixture, randomPairs, roundedTo } from '../model/tiny.ts';
import { relativeL2 } from '../reference/compare.ts';
import { tinyLlama } from '../reference/fixtures.ts';
import { COARSE_TIPS } from '../support/coarse.ts';
import { freshGpu, testGpu } from '../support/gpu.ts';
import { eachStep, LORA, trained } from './runs.ts';

const PAIRS = randomPairs(24, 9);
const ARGS = { learningRate: 5e-3, perDeviceTrainBatchSize: 4, maxSteps: 30, seed: 3 };
const trainer = (model: CausalLM) =>
  new DPOTrainer({ model, args: ARGS, trainDataset: PAIRS, peftConfig: LORA });

describe('training on a quantized base', () => {
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
    // Roundings of the head's sums, 1e-7 of a gradient, which Adam divides by the gradient's size in the first steps: a few
    // 1e-6 of a weight, and of a loss near 0.7 after 30 of them.
    expect(relativeL2(loss(quantised), loss(dense))).to.be.below(1e-5 + COARSE_TIPS);
    // With another base the run differs, which this comparison would notice.
    expect(relativeL2(loss(quantised), loss(exact))).to.be.above(1e-3);
  });

  it('distinguishes references by precision', async () => {
    const gpu = await testGpu();
    const referenceCache = memoryReferenceCache();
    const cached = async (dtype: LoadDtype) => {
      const model = await CausalLM.load(gpu, filesOf(tinyLlama), { dtype });
      const args = { ...ARGS, maxSteps: 1, precomputeRefLogProbs: true };
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

  it('has the planned memory', async () => {
    const gpu = await freshGpu();
    const files = filesOf(tinyLlama);
    const plan = await planMemory(gpu, files, trainer, { dtype: 'q4_0' });
    const full = await planMemory(gpu, files, trainer, { dtype: 'float32' });
    expect(full.parts.weights).to.be.above(3 * plan.parts.weights);
    const model = await CausalLM.load(gpu, files, { dtype: 'q4_0' });
    const run = trainer(model);
    for await (const _ of run.train());
    expect(plan.plannedBytes / gpu.memory().peak).to.be.within(0.9, 1.1);
    run.dispose();
    model.dispose();
    gpu.dispose();
  });
});

describe('training with activations in half precision', () => {
  it('trains all weights with activations in float16: the same first loss, nearly the same weights', async () => {
    const gpu = await testGpu();
    const results = [];
    for (const savedActivations of ['float32', 'float16'] as const) {
      const model = await loadFixture(gpu, tinyLlama, true);
      const args = { ...ARGS, maxSteps: 6, learningRate: 1e-3, savedActivations };
      const trainer = new DPOTrainer({ model, args, trainDataset: PAIRS, peftConfig: null });
      const events: TrainEvent[] = [];
      for await (const event of trainer.train()) events.push(event);
      const values = await model.parameters?.read('values');
      results.push({ losses: eachStep(events, 'loss'), values: [...(values?.values() ?? [])] });
      trainer.dispose();
      model.dispose();
    }
    const [exact, saving] = results as [(typeof results)[0], (typeof results)[0]];
    expect(saving.losses[0]).to.equal(exact.losses[0]);
    // Six steps of AdamW at 1e-3 change a weight near 0.1 by some percent; a gradient with an error of 3e-4 hardly changes
    // their direction.
    saving.values.forEach((values, i) => {
      expect(relativeL2(values, exact.values[i])).to.be.below(1e-3);
    });
    expect(saving.values).not.to.deep.equal(exact.values);
  });
});

describe('training without negligible tokens', () => {
  it('omits negligible tokens only from gradients', async () => {
    const gpu = await testGpu();
    for (const full of [true, false]) {
      const steps: Metrics[] = [];
      for (const filterEps of [0, 2 ** -8]) {
        const model = await loadFixture(gpu, undefined, full);
        const args = { ...ARGS, maxSteps: 1, filterEps };
        const peftConfig = full ? null : LORA;
        const trainer = new DPOTrainer({ model, args, trainDataset: PAIRS, peftConfig });
        for await (const event of trainer.train()) if (event.type === 'step') steps.push(event.metrics);
        trainer.dispose();
        model.dispose();
      }
      const [{ grad_norm: exact, ...others }, { grad_norm: near, ...same }] = steps as [Metrics, Metrics];
      expect(same).to.deep.equal(others);
      // Of 97 tokens few are that unlikely: enough to have an effect, too few to change the gradient's direction.
      expect(Math.abs(near / exact - 1)).to.be.within(1e-6, 0.05);
    }
  });
});
