/** Merged weights compared with PEFT's, and the merged model with the base model and its adapters. */
import { expect } from 'chai';
import { combineAdapters } from '../../src/io/combine-adapters.ts';
import { memoryFiles } from '../../src/io/files.ts';
import { toFloat32 } from '../../src/io/float.ts';
import { type Adapter, readAdapter } from '../../src/io/peft.ts';
import { parseSafetensors } from '../../src/io/safetensors.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import { mergedModelFiles } from '../../src/model/merged-model.ts';
import exports from '../fixtures/exports.json' with { type: 'json' };
import { expectRefused } from '../io/refused.ts';
import { relativeL2 } from '../reference/compare.ts';
import { decodeArrays, tinyLlama, tinyLlamaAdapter, tinyLlamaTied } from '../reference/fixtures.ts';
import { COARSE_PASS } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';
import { packSequences, pass } from './tiny.ts';

const base = memoryFiles(Object.fromEntries(tinyLlama.files), 'base');
const packed = packSequences(
  tinyLlama.reference.sequences.map((ids) => ({ prompt: ids.slice(0, 1), completion: ids.slice(1) })),
);

describe('merged-model', () => {
  let adapter: Adapter;
  before(async () => {
    adapter = await readAdapter(memoryFiles(Object.fromEntries(tinyLlamaAdapter.files), 'adapter'));
  });

  it("has the same weights as PEFT's merged model", async () => {
    const files = await mergedModelFiles(base, [{ adapter, factor: 1 }]);
    const { tensors } = parseSafetensors(files['model.safetensors'] as Uint8Array<ArrayBuffer>, 'merged');
    expect(tensors.size).to.equal(tinyLlama.weights.size);
    for (const [name, expected] of decodeArrays(exports.merged)) {
      // PEFT multiplies and adds in float32; ours rounds once.
      expect(relativeL2(toFloat32(tensors.get(name)!), expected), name).to.be.below(2e-7);
    }
    expect(files['config.json']).to.deep.equal(tinyLlama.files.get('config.json'));
    expect(Object.keys(files).at(-1)).to.equal('config.json');
  });

  it('computes the same as the base model with adapters, and as PyTorch', async () => {
    const gpu = await testGpu();
    const files = await mergedModelFiles(base, [{ adapter, factor: 1 }]);
    const merged = await CausalLM.load(gpu, memoryFiles(files, 'merged'));
    const { logprobs } = tinyLlama.reference.lora;
    // Float32 PyTorch is 6e-7 to 3e-6 from exact here.
    expect(relativeL2(await pass(gpu, merged, packed), logprobs.flat())).to.be.below(1e-5 + COARSE_PASS);
    merged.dispose();

    const parts = [
      { adapter, factor: 1 },
      { adapter: combineAdapters([{ adapter, factor: -3 }]), factor: 0.5 },
    ];
    const half = await CausalLM.load(gpu, memoryFiles(await mergedModelFiles(base, parts), 'merged'));
    const live = await CausalLM.load(gpu, base);
    for (const part of parts) live.attach(part.adapter).factor = part.factor;
    expect(relativeL2(await pass(gpu, half, packed), await pass(gpu, live, packed))).to.be.below(
      1e-5 + COARSE_PASS,
    );
    half.dispose();
    live.dispose();
  });

  it('refuses an adapter of another model, by name', async () => {
    const other = memoryFiles(Object.fromEntries(tinyLlamaTied.files), 'other');
    await expectRefused(
      () => mergedModelFiles(other, [{ adapter, factor: 1, name: 'mine' }]),
      'mine',
      'and 14 more',
      'q_proj is (32, 32), expected (32, 24)',
      'tiny-llama',
    );
  });
});
