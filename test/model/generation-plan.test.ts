/**
 * How many sequences are generated at a time: as many as fit under the memory cap, depending only on the request, and an
 * error if there is no space now.
 */
import { expect } from 'chai';
import { MemoryCapError } from '../../src/gpu/errors.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import { generate } from '../../src/model/generation.ts';
import { planGeneration } from '../../src/model/generation-plan.ts';
import { random } from '../reference/compare.ts';
import { tinyLlama, tinyLlamaAdapter } from '../reference/fixtures.ts';
import { freshGpu } from '../support/gpu.ts';
import { filesOf, loadFixture, productAdapter, oddPrompts as prompts } from './tiny.ts';

describe('generation-plan', () => {
  it('makes batches that fit under the memory cap, and reports if one sequence does not', async () => {
    // A separate device, since what other tests leave behind may be released at any time.
    const roomy = await freshGpu();
    const before = roomy.memory().live;
    const model = await loadFixture(roomy);
    const modelBytes = roomy.memory().live - before;
    expect(model.bytesHeld(64)).to.be.within(modelBytes * 0.9, modelBytes);
    const options = { maxNewTokens: 9, seed: 5, numReturnSequences: 4, eosTokenIds: [] };
    const expected = await generate(model, prompts(), options);
    roomy.dispose();

    const tight = await freshGpu({ memoryCap: modelBytes + 120_000 });
    const small = await loadFixture(tight);
    expect(await generate(small, prompts(), options)).to.deep.equal(expected);
    expect(tight.memory().peak).to.be.at.most(modelBytes + 120_000);
    const { live } = tight.memory();
    const long = [...random(4).ints(60, tinyLlama.config.vocabSize)];
    const error = await generate(small, [long], { maxNewTokens: 4 }).catch((reason) => reason);
    expect(error).to.be.instanceOf(MemoryCapError);
    expect(error.message).to.contain('Shorten the prompt').and.contain('raise the memory cap');
    expect(tight.memory().live).to.equal(live);
    tight.dispose();
  });

  it('depends on the requested work, not on current memory use', async () => {
    const roomy = await freshGpu();
    const model = await loadFixture(roomy);
    const cap = roomy.memory().live + 400_000;
    const options = { maxNewTokens: 9, seed: 5, numReturnSequences: 4 };
    const lengths = prompts().map(({ length }) => length);
    expect(planGeneration(model, lengths, options).batchSize).to.equal(24);
    model.dispose();
    roomy.dispose();

    const tight = await freshGpu({ memoryCap: cap });
    const small = await loadFixture(tight);
    const plan = planGeneration(small, lengths, options);
    expect(plan.batchSize).to.be.within(2, 12);
    expect(plan.bytes).to.be.at.most(400_000);
    expect(planGeneration(small, lengths, { ...options, batchSize: 1 }).batchSize).to.equal(1);
    // A longer prompt makes a smaller batch, even if few prompts are as long.
    const longer = [...lengths.slice(1), 55];
    expect(planGeneration(small, longer, options).batchSize).to.be.below(plan.batchSize);
    expect(planGeneration(small, [], options)).to.deep.include({ bytes: 0, pipelines: [] });

    // Another buffer takes most of the memory: the plan stays the same, but it does not fit now.
    const whole = await generate(small, prompts(), options);
    const other = tight.pool.allocate(270_000, 'other');
    expect(planGeneration(small, lengths, options)).to.deep.equal(plan);
    const error = await generate(small, prompts(), options).catch((reason) => reason);
    expect(error).to.be.instanceOf(MemoryCapError);
    expect(error.message).to.contain(`batchSize below ${plan.batchSize}`);
    expect(await generate(small, prompts(), { ...options, batchSize: 1 })).to.deep.equal(whole);
    tight.pool.release(other);
    expect(await generate(small, prompts(), options)).to.deep.equal(whole);
    tight.dispose();
  });

  it("includes adapters in the model's memory, and plans on a counting copy", async () => {
    const gpu = await freshGpu({ memoryCap: 2 ** 24 });
    const model = await loadFixture(gpu);
    const held = model.bytesHeld(40);
    const { live } = gpu.memory();
    model.attach(productAdapter(model, tinyLlamaAdapter.adapters, tinyLlama.reference.lora.alpha));
    expect(model.bytesHeld(40) - held).to.equal(gpu.memory().live - live);
    const options = {
      maxNewTokens: 9,
      numReturnSequences: 700,
      returnLogprobs: true,
      repetitionPenalty: 1.2,
    };
    const counting = await CausalLM.load(gpu.countingCopy(), filesOf(tinyLlama));
    counting.attach(productAdapter(model, tinyLlamaAdapter.adapters, tinyLlama.reference.lora.alpha));
    const plan = planGeneration(model, [30, 30, 30], options);
    expect(planGeneration(counting, [30, 30, 30], options)).to.deep.equal(plan);
    await gpu.compile(plan.pipelines);
    const peak = gpu.memory().live + plan.bytes;
    gpu.pool.resetPeak();
    await generate(model, prompts().slice(0, 3), { ...options, batchSize: plan.batchSize, maxNewTokens: 2 });
    expect(gpu.memory().peak).to.be.at.most(peak);
    gpu.dispose();
  });
});
