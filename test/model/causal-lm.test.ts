/**
 * The whole decoder against PyTorch, against the float64 reference and its finite differences, and against itself in
 * other layouts.
 */
import { expect } from 'chai';
import { sequencesOf } from '../../src/data/packing.ts';
import { memoryFiles } from '../../src/io/files.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import { expectClose, maxAbs, relativeL2 } from '../reference/compare.ts';
import { decoder } from '../reference/decoder.ts';
import { finiteDifferences } from '../reference/finite-difference.ts';
import { decodeArrays, tinyLlama, tinyLlamaAdapter, tinyLlamaTied } from '../reference/fixtures.ts';
import { COARSE_GRADIENT, COARSE_PASS } from '../support/coarse.ts';
import { sharedFile } from '../support/files.ts';
import { testGpu } from '../support/gpu.ts';
import { loadFixture, packPairs, packSequences, pass, productAdapter, randomPairs } from './tiny.ts';

/** Float32 PyTorch itself is 6e-7 to 3e-6 from exact on these models, by relative L2. */
const FORWARD = 1e-5 + COARSE_PASS;
const GRADIENT = 1e-4 + COARSE_GRADIENT;

describe('causal-lm', () => {
  for (const [name, fixture] of Object.entries({ tinyLlama, tinyLlamaTied })) {
    it(`${name}: log-probabilities and all weight gradients equal those of PyTorch`, async () => {
      const gpu = await testGpu();
      const model = await loadFixture(gpu, fixture, true);
      const { sequences, base } = fixture.reference;
      const packed = packSequences(
        sequences.map((ids) => ({ prompt: ids.slice(0, 1), completion: ids.slice(1) })),
      );
      // PyTorch's loss is the mean of −log p over all targets.
      const count = packed.targets.length;
      const logprobs = await pass(gpu, model, packed, new Float32Array(count).fill(-1 / count));
      expect(relativeL2(logprobs, base.logprobs.flat())).to.be.below(FORWARD);

      const gradients = await model.parameters?.read('gradients');
      for (const [weight, expected] of decodeArrays(base.gradients)) {
        expect(relativeL2(gradients?.get(weight) ?? [], expected), weight).to.be.below(GRADIENT);
      }
      model.dispose();
    });
  }

  it('LoRA gradients of the DPO loss equal those of PyTorch and PEFT', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const { dpo, lora } = tinyLlama.reference;
    const adapter = model.attach(productAdapter(model, tinyLlamaAdapter.adapters, lora.alpha), {
      trainable: true,
    });
    const packed = packPairs(dpo.pairs);
    const logprobs = await pass(gpu, model, packed);
    const expected = dpo.pairs.flatMap((_, i) => [...dpo.policy.chosen[i], ...dpo.policy.rejected[i]]);
    expect(relativeL2(logprobs, expected)).to.be.below(FORWARD);

    // dL/dlogp of DPO: ∓β σ(−z) / P on every token of the chosen and the rejected completion.
    const upstream = dpo.pairs.flatMap((pair, i) => {
      const z = dpo.rewards.chosen[i] - dpo.rewards.rejected[i];
      const slope = dpo.beta / (1 + Math.exp(z)) / dpo.pairs.length;
      return [...pair.chosen.map(() => -slope), ...pair.rejected.map(() => slope)];
    });
    await pass(gpu, model, packed, Float32Array.from(upstream));
    const gradients = await adapter.parameters?.read('gradients');
    for (const [name, values] of decodeArrays(dpo.gradients)) {
      expect(relativeL2(gradients?.get(name.replace('.weight', '')) ?? [], values), name).to.be.below(
        GRADIENT,
      );
    }
    model.dispose();
  });

  it('frees its buffers once, however often it is disposed', async () => {
    const gpu = await testGpu();
    const before = gpu.pool.report().live;
    const model = await loadFixture(gpu);
    model.attach(productAdapter(model, tinyLlamaAdapter.adapters, 4), { trainable: true });
    for (let i = 0; i < 2; i++) model.dispose();
    expect(gpu.pool.report().live).to.equal(before);
  });

  it('LoRA gradients agree with finite differences of the float64 decoder', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const { lora } = tinyLlama.reference;
    const adapter = model.attach(productAdapter(model, tinyLlamaAdapter.adapters, lora.alpha), {
      trainable: true,
    });
    const packed = packPairs(randomPairs(2, 3));
    const upstream = Float32Array.from(packed.targets, (_, i) => Math.sin(i));
    await pass(gpu, model, packed, upstream);
    const gradients = await adapter.parameters?.read('gradients');
    for (const module of ['model.layers.0.self_attn.k_proj', 'model.layers.2.mlp.down_proj']) {
      const adapters = new Map(tinyLlamaAdapter.adapters);
      const own = adapters.get(module);
      if (!own) throw new Error(`no ${module}`);
      const loss = (a: Float64Array) => {
        adapters.set(module, { ...own, a });
        const { logprob } = decoder({ ...tinyLlama, adapters }, packed);
        return logprob.reduce((sum, value, i) => sum + value * upstream[i], 0);
      };
      const samples = finiteDifferences(loss, Float64Array.from(own.a), { samples: 6, seed: 1 });
      const found = samples.map(({ index }) => gradients?.get(`${module}.lora_A`)?.[index] ?? Number.NaN);
      expect(
        relativeL2(
          found,
          samples.map(({ value }) => value),
        ),
        module,
      ).to.be.below(GRADIENT);
    }
    model.dispose();
  });

  it('recomputing a layer in the backward pass gives the same gradients, bit for bit', async () => {
    const gpu = await testGpu();
    const packed = packPairs(randomPairs(3, 5));
    const upstream = Float32Array.from(packed.targets, (_, i) => Math.cos(i));
    const results = [];
    for (const kept of ['float32', 'nothing'] as const) {
      const model = await loadFixture(gpu);
      const before = gpu.memory().live;
      const adapter = model.attach(productAdapter(model, tinyLlamaAdapter.adapters, 8), { trainable: true });
      await pass(gpu, model, packed, upstream, kept);
      results.push(await adapter.parameters?.read('gradients'));
      model.detach(adapter);
      expect(gpu.memory().live).to.equal(before);
      model.dispose();
    }
    expect(results[1]).to.deep.equal(results[0]);
  });

  it('a shared prompt, a prompt for each completion, and any order give the same log-probabilities', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const pairs = randomPairs(4, 7);
    const shared = await pass(gpu, model, packPairs(pairs));
    const apart = await pass(gpu, model, packSequences(pairs.flatMap(sequencesOf)));
    // Keys come in the same order either way, so not even the rounding differs.
    expect(apart).to.deep.equal(shared);
    const reversed = await pass(gpu, model, packPairs([...pairs].reverse()));
    const lengths = pairs.map((pair) => pair.chosen.length + pair.rejected.length);
    let at = shared.length;
    for (const [i, length] of lengths.entries()) {
      at -= length;
      const start = lengths.slice(0, i).reduce((a, b) => a + b, 0);
      expect(reversed.slice(at, at + length)).to.deep.equal(shared.slice(start, start + length));
    }
    model.dispose();
  });

  it('a disabled or untrained adapter changes nothing', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const packed = packPairs(randomPairs(2, 9));
    const plain = await pass(gpu, model, packed);
    const adapter = model.attach(productAdapter(model, tinyLlamaAdapter.adapters, 8));
    expect(await pass(gpu, model, packed)).to.not.deep.equal(plain);
    adapter.enabled = false;
    expect(await pass(gpu, model, packed)).to.deep.equal(plain);
    model.dispose();
  });

  it('stories260K scores its reference texts to 1e-4', async function () {
    const folder = 'models/stories260K';
    const names = ['config.json', 'model.safetensors', 'reference-logprobs.json'];
    const files = await Promise.all(names.map((name) => sharedFile(`${folder}/${name}`)));
    if (files.some((file) => file === undefined)) this.skip();
    const contents = Object.fromEntries(names.map((name, i) => [name, files[i] as Uint8Array]));
    const gpu = await testGpu();
    const model = await CausalLM.load(gpu, memoryFiles(contents, 'stories260K'));
    const reference: { cases: { ids: number[]; token_logprobs: number[] }[] } = JSON.parse(
      new TextDecoder().decode(contents['reference-logprobs.json']),
    );
    for (const { ids, token_logprobs } of reference.cases) {
      const packed = packSequences([{ prompt: ids.slice(0, 1), completion: ids.slice(1) }]);
      const logprobs = await pass(gpu, model, packed);
      // Each is a difference of logits, which are as large as the largest of them.
      const absolute = 1e-4 + COARSE_PASS * maxAbs(token_logprobs);
      expectClose(logprobs, token_logprobs, { absolute });
    }
    model.dispose();
  });

  it('frees all its memory', async () => {
    const gpu = await testGpu();
    const before = gpu.memory().live;
    const model = await loadFixture(gpu);
    const packed = packPairs(randomPairs(3, 11));
    model.attach(productAdapter(model, tinyLlamaAdapter.adapters, 8), { trainable: true });
    await pass(gpu, model, packed, new Float32Array(packed.targets.length).fill(1));
    model.dispose();
    expect(gpu.memory().live).to.equal(before);
  });
});
