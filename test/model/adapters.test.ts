/** Adapters by name: swapped, stacked and deleted without changing a byte of the model, and refused if they do not fit. */
import { expect } from 'chai';
import { Random } from '../../src/data/random.ts';
import { combineAdapters } from '../../src/io/combine-adapters.ts';
import { memoryFiles } from '../../src/io/files.ts';
import { toFloat32 } from '../../src/io/float.ts';
import { type Adapter, otherBaseNotice } from '../../src/io/peft.ts';
import { parseSafetensors } from '../../src/io/safetensors.ts';
import type { CausalLM } from '../../src/model/causal-lm.ts';
import { generate } from '../../src/model/generation.ts';
import { mergedModelFiles } from '../../src/model/merged-model.ts';
import { expectRefused } from '../io/refused.ts';
import { relativeL2 } from '../reference/compare.ts';
import { tinyLlama, tinyLlamaAdapter, tinyLlamaTied } from '../reference/fixtures.ts';
import { COARSE_PASS } from '../support/coarse.ts';
import { freshGpu, testGpu } from '../support/gpu.ts';
import { loadFixture, packSequences, pass, productAdapter } from './tiny.ts';

const [SEQUENCE] = tinyLlama.reference.sequences as [number[]];
const PACKED = packSequences([{ prompt: SEQUENCE.slice(0, 1), completion: SEQUENCE.slice(1) }]);

const fixtureAdapter = (model: CausalLM) =>
  productAdapter(model, tinyLlamaAdapter.adapters, tinyLlama.reference.lora.alpha);

/** The fixture's adapter with other numbers. */
function otherAdapter(model: CausalLM): Adapter {
  const random = new Random(5);
  const adapter = fixtureAdapter(model);
  for (const pair of adapter.weights.values()) pair.b = pair.b.map(() => 0.2 * random.normal());
  return adapter;
}

describe('ranks and alphas of single layers', () => {
  const MODULE = 'model.layers.1.self_attn.q_proj';

  /** The fixture's adapter, in which one layer has half the rank and an α of its own. */
  function patterned(model: CausalLM): Adapter {
    const adapter = fixtureAdapter(model);
    const { a, b, in: width, out, r } = adapter.weights.get(MODULE)!;
    const narrow = { a: a.slice(0, 2 * width), b: b.filter((_, i) => i % r < 2), r: 2, in: width, out };
    adapter.weights.set(MODULE, { ...narrow, alpha: 3 });
    return adapter;
  }

  /** The same with zeros for what the layer lacks, and B scaled to the common factor. */
  function plain(model: CausalLM): Adapter {
    const adapter = fixtureAdapter(model);
    const pair = adapter.weights.get(MODULE)!;
    const { r, loraAlpha } = adapter.config;
    const factor = 3 / 2 / (loraAlpha / r);
    adapter.weights.set(MODULE, { ...pair, b: pair.b.map((value, i) => (i % r < 2 ? factor * value : 0)) });
    return adapter;
  }

  it('apply on the device, combined and merged', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const adapters = { patterned: patterned(model), plain: plain(model), other: otherAdapter(model) };
    const score = async (...given: Adapter[]) => {
      const attached = given.map((adapter) => model.attach(adapter));
      const logprobs = await pass(gpu, model, PACKED);
      for (const adapter of attached) model.detach(adapter);
      return logprobs;
    };
    const expected = await score(adapters.plain, adapters.other);
    const joined = (first: Adapter) =>
      combineAdapters([first, adapters.other].map((adapter) => ({ adapter, factor: 1 })));
    // The same sums in another grouping.
    const near = (found: Float32Array) => expect(relativeL2(found, expected)).to.be.below(1e-6 + COARSE_PASS);
    near(await score(adapters.patterned, adapters.other));
    near(await score(joined(adapters.patterned)));
    expect(relativeL2(await score(adapters.other), expected)).to.be.above(1e-3);

    const files = memoryFiles(Object.fromEntries(tinyLlama.files), 'fixture');
    const merged = async (adapter: Adapter) => {
      const written = await mergedModelFiles(files, [{ adapter, factor: 1 }]);
      const weight = parseSafetensors(written['model.safetensors'] as Uint8Array<ArrayBuffer>, 'merged');
      return toFloat32(weight.tensors.get(`${MODULE}.weight`)!);
    };
    expect(relativeL2(await merged(adapters.patterned), await merged(adapters.plain))).to.be.below(1e-7);
    model.dispose();
  });
});

describe('adapters by name', () => {
  it('switch from A to B and back: the same bytes, and nothing of the model is uploaded again', async () => {
    const gpu = await freshGpu();
    const model = await loadFixture(gpu);
    const score = () => pass(gpu, model, PACKED);
    const base = await score();
    model.loadAdapter(fixtureAdapter(model), 'A');
    model.loadAdapter(otherAdapter(model), 'B');
    expect(model.activeAdapters).to.deep.equal([]);
    expect(await score(), 'loaded is not yet active').to.deep.equal(base);

    const { queue } = gpu.device;
    const write = queue.writeBuffer.bind(queue);
    let uploaded = 0;
    queue.writeBuffer = (...args: Parameters<GPUQueue['writeBuffer']>) => {
      const data = args[2];
      uploaded += args[4] ?? data.byteLength;
      write(...args);
    };
    const swapTo = async (names: string | string[]) => {
      const { live } = gpu.memory();
      uploaded = 0;
      model.setAdapter(names);
      expect(uploaded, 'bytes uploaded by the swap').to.equal(0);
      const logprobs = await score();
      expect(gpu.memory().live, 'bytes held').to.equal(live);
      return { logprobs, uploaded };
    };
    const [a, b, again] = [await swapTo('A'), await swapTo('B'), await swapTo('A')];
    expect(model.activeAdapters).to.deep.equal(['A']);
    expect(again.logprobs).to.deep.equal(a.logprobs);
    // The batch and the kernels' parameters, equally many for each.
    expect([b.uploaded, again.uploaded]).to.deep.equal([a.uploaded, a.uploaded]);
    expect(a.uploaded).to.be.below(64 * 1024);

    expect(relativeL2(a.logprobs, tinyLlama.reference.lora.logprobs[0])).to.be.below(1e-5 + COARSE_PASS);
    for (const other of [base, b.logprobs]) expect(relativeL2(other, a.logprobs)).to.be.above(1e-2);
    expect((await swapTo([])).logprobs).to.deep.equal(base);
    gpu.dispose();
  });

  it('add up if several are on, as if attached, and do not affect attached ones', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const below = model.attach(otherAdapter(model));
    model.loadAdapter(fixtureAdapter(model), 'A');
    model.setAdapter('A');
    const stacked = await pass(gpu, model, PACKED);
    const both = await loadFixture(gpu);
    both.attach(otherAdapter(both));
    both.attach(fixtureAdapter(both));
    expect(await pass(gpu, both, PACKED)).to.deep.equal(stacked);

    const options = { maxNewTokens: 8, temperature: 0, eosTokenIds: [] };
    const written = await generate(model, [SEQUENCE.slice(0, 4)], options);
    expect(await generate(both, [SEQUENCE.slice(0, 4)], options)).to.deep.equal(written);
    model.setAdapter([]);
    expect(below.enabled).to.equal(true);
    both.dispose();
    model.dispose();
  });

  it('free their memory when deleted', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const { live } = gpu.memory();
    model.loadAdapter(fixtureAdapter(model), 'A');
    expect(gpu.memory().live).to.be.above(live);
    model.deleteAdapter('A');
    expect(gpu.memory().live).to.equal(live);
    expect(model.adapters).to.deep.equal([]);
    model.loadAdapter(fixtureAdapter(model), 'A');
    model.dispose();
  });

  it('say what is wrong and the way out', async () => {
    const model = await loadFixture(await testGpu());
    await expectRefused(() => model.setAdapter('A'), '"A"', 'is not loaded', 'Load it');
    model.loadAdapter(fixtureAdapter(model), 'A');
    await expectRefused(() => model.loadAdapter(fixtureAdapter(model), 'A'), '"A"', 'already', 'Delete');
    await expectRefused(() => model.setAdapter(['A', 'B']), '"B"', 'is not loaded', 'Loaded adapters: A');
    expect(model.activeAdapters, 'after a name that is not there').to.deep.equal([]);
    const other = await loadFixture(await testGpu(), tinyLlamaTied);
    const fits = fixtureAdapter(model);
    await expectRefused(() => other.loadAdapter(fits, 'tuned'), 'tuned', 'q_proj is (32, 32)', '"fixture"');
    expect(other.adapters).to.deep.equal([]);
    other.dispose();
    model.dispose();
  });

  it('with another base name cause a notice', async () => {
    const model = await loadFixture(await testGpu());
    const adapter = { ...fixtureAdapter(model), baseModel: 'hub/SmolLM2-135M' };
    model.dispose();
    for (const same of ['SmolLM2-135M', '/models/smollm2-135m/', 'C:\\models\\SmolLM2-135M'])
      expect(otherBaseNotice(adapter, same, 'run')).to.equal(undefined);
    expect(otherBaseNotice({ ...adapter, baseModel: '' }, 'other', 'run')).to.equal(undefined);
    const notice = otherBaseNotice(adapter, 'models/SmolLM2-360M', 'run');
    expect(notice).to.include('run was trained on "hub/SmolLM2-135M"').and.include('SmolLM2-360M');
  });
});

describe('model.without', () => {
  it('disables adapters for some work, and restores their state, whether the work returns, throws or waits', async () => {
    const model = await loadFixture(await testGpu());
    const attach = () => model.attach(otherAdapter(model), { name: 'one' });
    const [on, off] = [attach(), attach()];
    off.enabled = false;
    const state = () => [on.enabled, off.enabled];
    expect(model.without([on, off], state)).to.deep.equal([false, false]);
    expect(state()).to.deep.equal([true, false]);
    expect(() =>
      model.without([on], () => {
        throw new Error('it broke');
      }),
    ).to.throw('it broke');
    expect(state()).to.deep.equal([true, false]);
    const waiting = model.without([on], async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      return state();
    });
    expect(state()).to.deep.equal([false, false]);
    expect(await waiting).to.deep.equal([false, false]);
    expect(state()).to.deep.equal([true, false]);
    const failing = model.without([on], () => Promise.reject(new Error('later')));
    expect(await failing.catch((error: Error) => error.message)).to.equal('later');
    expect(state()).to.deep.equal([true, false]);
    model.dispose();
  });
});
