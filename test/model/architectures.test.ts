/**
 * Every row of the table of architectures against transformers and PEFT on a tiny random model of its kind: loss, logits,
 * gradients of norms, biases and tables, LoRA gradients of DPO, and generation with a cache against the full pass.
 */
import { expect } from 'chai';
import { memoryFiles } from '../../src/io/files.ts';
import { readAdapter } from '../../src/io/peft.ts';
import { ARCHITECTURES } from '../../src/model/architectures.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import { generate, sampledTokens } from '../../src/model/generation.ts';
import { sequenceLogprobs } from '../../src/train/measures/sequence-logprobs.ts';
import { expectRefused } from '../io/refused.ts';
import { relativeL2 } from '../reference/compare.ts';
import { decodeArray, decodeArrays, type EncodedArray } from '../reference/fixtures.ts';
import { COARSE_GRADIENT, COARSE_PASS } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';
import { FIXTURES, type ArchitectureFixture as Fixture } from './fixtures.ts';
import { greedy, lastLogits, packPairs, packSequences, pass } from './tiny.ts';

/** Float32 PyTorch itself is 3e-7 to 6e-7 from exact on these models, by relative L2. */
const FORWARD = 1e-5 + COARSE_PASS;
const GRADIENT = 1e-4 + COARSE_GRADIENT;

const bytes = (base64: string) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

async function load({ config, weights }: Fixture, trainable = false): Promise<CausalLM> {
  const files = { 'config.json': json(config), 'model.safetensors': bytes(weights) };
  return CausalLM.load(await testGpu(), memoryFiles(files, 'fixture'), { trainable });
}

function adapterOf({ adapterConfig, adapterWeights }: Fixture) {
  const files = {
    'adapter_config.json': json(adapterConfig),
    'adapter_model.safetensors': bytes(adapterWeights),
  };
  return readAdapter(memoryFiles(files, 'adapter'));
}

/** Gradients by name, each compared with PyTorch's. Our names may lack the `.weight` of theirs. */
function expectGradients(
  found: ReadonlyMap<string, Float32Array> | undefined,
  expected: Readonly<Record<string, EncodedArray>>,
): void {
  for (const [name, values] of decodeArrays(expected)) {
    const own = found?.get(name) ?? found?.get(name.replace(/\.weight$/, ''));
    expect(relativeL2(own ?? [], values), name).to.be.below(GRADIENT);
  }
}

describe('architectures', () => {
  it('are all tested with a fixture', () => {
    const types = new Set(Object.values(FIXTURES).map(({ config }) => config.model_type));
    expect([...types].sort()).to.deep.equal(Object.keys(ARCHITECTURES).sort());
  });

  it('that are not supported are rejected with the list of those that are', async () => {
    const { mistral } = FIXTURES;
    const names = Object.keys(ARCHITECTURES).join(', ');
    for (const type of ['mixtral', 'granitemoe', 'olmo', 'olmo3', 'phi', 'phimoe', 'smolvlm', 'gemma']) {
      const config = { ...mistral.config, model_type: type };
      await expectRefused(() => load({ ...mistral, config }), `"${type}" is not supported`, names);
    }
  });

  for (const [name, fixture] of Object.entries<Fixture>(FIXTURES)) {
    it(`${name}: loss, logits, gradients of norms, biases and tables`, async () => {
      const gpu = await testGpu();
      const model = await load(fixture, true);
      const { sequences } = fixture;
      const packed = packSequences(
        sequences.map((ids) => ({ prompt: ids.slice(0, 1), completion: ids.slice(1) })),
      );
      const count = packed.targets.length;
      const logprobs = await pass(gpu, model, packed, new Float32Array(count).fill(-1 / count));
      expect(relativeL2(logprobs, fixture.logprobs.flat())).to.be.below(FORWARD);
      const loss = -logprobs.reduce((sum, value) => sum + value / count, 0);
      expect(Math.abs(loss / fixture.loss - 1)).to.be.below(FORWARD);
      const [logits] = await lastLogits(gpu, model, sequences.slice(0, 1));
      expect(relativeL2(logits, decodeArray(fixture.lastLogits))).to.be.below(FORWARD);
      expectGradients(await model.parameters?.read('gradients'), fixture.gradients);
      model.dispose();
    });

    it(`${name}: LoRA gradients of DPO, prompts shared by both completions`, async () => {
      const gpu = await testGpu();
      const model = await load(fixture);
      const adapter = model.attach(await adapterOf(fixture), { trainable: true });
      const { beta, pairs, policy, rewards, gradients } = fixture.dpo;
      // dL/dlogp of DPO: ∓β σ(−z) / P on every token of the chosen and the rejected completion.
      const upstream = pairs.flatMap((pair, i) => {
        const z = rewards.chosen[i] - rewards.rejected[i];
        const slope = beta / (1 + Math.exp(z)) / pairs.length;
        return [...pair.chosen.map(() => -slope), ...pair.rejected.map(() => slope)];
      });
      const logprobs = await pass(gpu, model, packPairs(pairs), Float32Array.from(upstream));
      const expected = pairs.flatMap((_, i) => [...policy.chosen[i], ...policy.rejected[i]]);
      expect(relativeL2(logprobs, expected)).to.be.below(FORWARD);
      expectGradients(await adapter.parameters?.read('gradients'), gradients);
      model.dispose();
    });

    it(`${name}: activations in half precision do not change the value, and gradients by at most a thousandth`, async () => {
      const gpu = await testGpu();
      const results: { value: Float32Array; gradient: number[] }[] = [];
      let layers = 0;
      for (const kept of ['float32', 'float16'] as const) {
        for (const trainable of [true, false]) {
          const model = await load(fixture, trainable);
          layers = model.config.numHiddenLayers;
          const before = gpu.memory().live;
          const adapter = trainable ? undefined : model.attach(await adapterOf(fixture), { trainable: true });
          const packed = packPairs(fixture.dpo.pairs);
          const upstream = Float32Array.from(packed.targets, (_, i) => Math.cos(i));
          const value = await pass(gpu, model, packed, upstream, kept);
          const gradients = await (adapter?.parameters ?? model.parameters)?.read('gradients');
          if (adapter) model.detach(adapter);
          expect(gpu.memory().live).to.equal(before);
          model.dispose();
          results.push({ value, gradient: [...(gradients?.values() ?? [])].flatMap((part) => [...part]) });
        }
      }
      const half = results.length / 2;
      results.slice(half).forEach(({ value, gradient }, i) => {
        const exact = results[i];
        expect(value).to.deep.equal(exact.value);
        // On average a number is rounded by 2^−12.8 of its value, 1.4e-4, and a gradient combines several of them from each
        // layer.
        expect(relativeL2(gradient, exact.gradient)).to.be.within(1e-6, Math.max(1e-3, 3.5e-4 * layers));
      });
    });

    it(`${name}: generation with a cache equals the full pass`, async () => {
      const gpu = await testGpu();
      const model = await load(fixture);
      model.attach(await adapterOf(fixture));
      const from = fixture.dpo.pairs.map(({ prompt }) => prompt);
      const found = await generate(model, from, { maxNewTokens: 9, temperature: 0, eosTokenIds: [] });
      expect(found.map(({ ids }) => ids)).to.deep.equal(await greedy(gpu, model, from, 9));
      model.dispose();
    });

    it(`${name}: sampled tokens have the log-probabilities that training gives them`, async () => {
      const model = await load(fixture);
      model.attach(await adapterOf(fixture));
      const from = fixture.dpo.pairs.map(({ prompt }) => prompt);
      const options = { maxNewTokens: 20, seed: 3, numReturnSequences: 4, eosTokenIds: [3, 5] };
      const found = await generate(model, from, { ...options, returnLogprobs: true });
      const sequences = found.map((generation, i) => ({
        prompt: from[Math.floor(i / 4)],
        completion: sampledTokens(generation),
      }));
      for (const [i, scores] of (await sequenceLogprobs(model, sequences)).entries()) {
        expect(found[i]?.logprobs?.model).to.have.length(scores.length);
        scores.forEach((value, t) => {
          expect(found[i]?.logprobs?.model[t], `${i}, ${t}`).to.be.closeTo(value, 1e-4 + 4 * COARSE_PASS);
        });
      }
      model.dispose();
    });
  }
});
