/**
 * Every architecture as in llama.cpp's files: names, order of rows and norms are those of its converter, and a model that
 * was written and read back gives the same logits as before, in float32 and in blocks.
 */
import { expect } from 'chai';
import { memorySource } from '../../src/io/byte-source.ts';
import { type Files, memoryFiles } from '../../src/io/files.ts';
import { toFloat32, toFloat32Bytes } from '../../src/io/float.ts';
import { ggufFiles } from '../../src/io/gguf/files.ts';
import { type GgufTensor, writeGguf } from '../../src/io/gguf/writer.ts';
import { quantise } from '../../src/io/quantised.ts';
import { type StoredTensor, type TensorSource, writeSafetensors } from '../../src/io/safetensors.ts';
import { openWeights } from '../../src/io/weights.ts';
import { ARCHITECTURES } from '../../src/model/architectures.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import { describeModel } from '../../src/model/description.ts';
import { toGguf } from '../../src/model/gguf-layout.ts';
import { ggufModelMetadata, ggufModelTensors } from '../../src/model/gguf-model.ts';
import { mergedSources, mergedTensors } from '../../src/model/merged-model.ts';
import { fromFiles, toFiles } from '../../src/model/stored-layout.ts';
import { openModelWeights } from '../../src/model/stored-weights.ts';
import fixture from '../fixtures/gguf.json' with { type: 'json' };
import { expectRefused } from '../io/refused.ts';
import { relativeL2 } from '../reference/compare.ts';
import { decodeBytes } from '../reference/fixtures.ts';
import { digest } from '../support/digest.ts';
import { tinyGguf } from '../support/gguf.ts';
import { testGpu } from '../support/gpu.ts';
import { FIXTURES as ALL } from './fixtures.ts';
import { lastLogits } from './tiny.ts';

/**
 * llama.cpp scales Gemma's queries by the length of a head; the fixtures use another factor, so that the factor is tested
 * against PyTorch.
 */
const scaledAsThere = <T extends { config: object }>(fixture: T) => ({
  ...fixture,
  config: { ...fixture.config, query_pre_attn_scalar: 12 },
});
const FIXTURES = { ...ALL, gemma2: scaledAsThere(ALL.gemma2), gemma3: scaledAsThere(ALL.gemma3) };
type Fixture = Pick<typeof ALL.llama3, 'weights' | 'sequences'> & { config: object };

function folder({ config, weights }: Fixture): Files {
  const files = { 'config.json': JSON.stringify(config), 'model.safetensors': decodeBytes(weights) };
  return memoryFiles(files, 'fixture');
}

/** The model as GGUF in float32, or with rows of whole blocks in Q8_0 and Q4_0 alternately. */
async function asGguf(source: Files, inBlocks = false): Promise<Uint8Array<ArrayBuffer>> {
  const description = await describeModel(source);
  const tensors = new Map<string, GgufTensor>();
  const inF16 = ggufModelTensors(description, await mergedSources(source, description, []));
  for (const [name, tensor] of toGguf(description, await mergedTensors(source, description, []))) {
    tensors.set(name, { ...tensor, dtype: 'F32' });
    const dtype = tensors.size % 2 === 0 ? 'Q8_0' : 'Q4_0';
    if (inBlocks && tensor.shape.length === 2 && tensor.shape[1] % 32 === 0) {
      tensors.set(name, { ...tensor, dtype, data: quantise(dtype, toFloat32(tensor)) });
    }
  }
  for (const [name, { read, ...factors }] of inF16)
    if (name.startsWith('rope_')) tensors.set(name, { ...factors, data: await read() });
  return writeGguf(ggufModelMetadata(description, 'config.json'), tensors);
}

async function logits(files: Files, sequences: readonly number[][]): Promise<Float32Array> {
  const gpu = await testGpu();
  const model = await CausalLM.load(gpu, files);
  const rows = await lastLogits(gpu, model, sequences);
  model.dispose();
  return Float32Array.from(rows.flatMap((row) => [...row]));
}

describe('model/gguf-layout', () => {
  it('is tested against the converter for every architecture', () => {
    const types = Object.values(FIXTURES).map(({ config }) => config.model_type);
    expect([...new Set(types)].sort()).to.deep.equal(Object.keys(ARCHITECTURES).sort());
  });

  for (const [name, model] of Object.entries(FIXTURES) as [keyof typeof FIXTURES, Fixture][]) {
    it(`${name}: tensors as llama.cpp's converter writes them`, async () => {
      const source = folder(model);
      const description = await describeModel(source);
      const found: Record<string, [number[], string]> = {};
      for (const [own, { shape, data }] of toGguf(
        description,
        await mergedTensors(source, description, []),
      )) {
        found[own] = [shape, await digest(new Uint8Array(data))];
      }
      const expected: Record<string, unknown> = { ...fixture.architectures[name] };
      // The head is the embedding, which only transformers writes twice.
      if (!('output.weight' in found)) delete expected['output.weight'];
      expect(found).to.deep.equal(expected);
    });

    it(`${name}: reads the same configuration, weights and logits from it`, async () => {
      const source = folder(model);
      const files = await ggufFiles(memorySource(await asGguf(source), 'm.gguf'));
      const [given, back] = await Promise.all([describeModel(source), describeModel(files)]);
      // There the names and end tokens are in the tokenizer; frequencies may be expressed differently.
      const { modelType, bosTokenId, eosTokenIds, torchDtype, layers, ...numbers } = given.config;
      expect(back.config).to.deep.include(numbers);
      // transformers refuses an integer in a field that it declares as a float.
      expect(await files.readText('config.json')).not.to.match(/"(?:\w+_softcapping|rope_theta)": \d+[,\s]/);
      expect(back.config.layers.map(({ window }) => window)).to.deep.equal(
        layers.map(({ window }) => window),
      );

      const stored = (await openModelWeights(files, back)).stored;
      for (const [own, { data, shape }] of await mergedTensors(source, given, [])) {
        const found = stored.get(own)!;
        expect(found.shape, own).to.deep.equal(shape);
        const values = toFloat32({ ...found, data: await found.read() });
        // Exact, except that norms stored as 1 + weight there are rounded in the last digit.
        const tolerance = given.architecture.norm === 'rms-offset' ? 3e-7 : 0;
        expect(relativeL2(values, toFloat32({ dtype: 'F32', data, where: own })), own).to.be.at.most(
          tolerance,
        );
      }
      const sequences = model.sequences;
      // The frequencies of llama3 are stored as float32 factors: angles of up to 23 change by 1e-6.
      expect(relativeL2(await logits(files, sequences), await logits(source, sequences))).to.be.below(1e-6);
    });
  }

  it('writes the factors of frequencies by the converter’s rule', async () => {
    const source = folder(FIXTURES.llama3);
    const description = await describeModel(source);
    const tensors = ggufModelTensors(description, await mergedSources(source, description, []));
    const { read, shape } = tensors.get('rope_freqs.weight')!;
    const data = await read();
    expect(shape).to.deep.equal([8]);
    const factors = new Float32Array(new Uint8Array(data).buffer);
    expect(relativeL2(factors, fixture.ropeFactors)).to.be.below(1e-7);
  });

  for (const name of ['smollm2', 'llama3', 'qwen2', 'gpt2'] as const) {
    it(`${name}: block-quantized weights equal their dequantized values`, async () => {
      const source = folder(FIXTURES[name]);
      const files = await ggufFiles(memorySource(await asGguf(source, true), 'm.gguf'));
      const description = await describeModel(files);
      const unpacked = new Map<string, StoredTensor>();
      let blocks = 0;
      for (const [own, tensor] of (await openModelWeights(files, description)).stored) {
        if (tensor.dtype.startsWith('Q')) blocks++;
        const data = toFloat32Bytes(toFloat32({ ...tensor, data: await tensor.read() }));
        unpacked.set(own, { ...tensor, dtype: 'F32', data: new Uint8Array(data) });
      }
      // Rows of 24 are not whole blocks.
      expect(blocks > 0).to.equal(name !== 'smollm2');
      const plain = memoryFiles({
        'config.json': await files.read('config.json'),
        'model.safetensors': writeSafetensors(toFiles(description.architecture, unpacked)),
      });
      const { sequences } = FIXTURES[name];
      expect(relativeL2(await logits(files, sequences), await logits(plain, sequences))).to.be.below(1e-6);
    });
  }

  it('reorders the biases of q and k like their rows', async () => {
    const shapes = { 'blk.0.attn_q.bias': [8], 'blk.0.attn_k.bias': [4], 'blk.0.attn_v.bias': [4] };
    const files = await ggufFiles(
      memorySource(tinyGguf({}, { ...shapes, 'blk.0.attn_output.bias': [8] }), 'm.gguf'),
    );
    const description = await describeModel(files);
    const stored = new Map<string, TensorSource>();
    for (const [name, tensor] of await openWeights(files)) {
      const data = Uint8Array.from({ length: 2 * tensor.shape[0] }, (_, byte) => byte);
      stored.set(name, name.endsWith('.bias') ? { ...tensor, read: async () => data } : tensor);
    }
    const { shapes: needed } = await openModelWeights(files, description);
    const read = async (name: string) =>
      (
        await fromFiles(description, stored, needed).get(`model.layers.0.self_attn.${name}.bias`)?.read()
      )?.filter((_, byte) => byte % 2 === 0);
    // Two bytes per number; heads of width four.
    expect([...(await read('q_proj'))!]).to.deep.equal([0, 4, 2, 6, 8, 12, 10, 14]);
    expect([...(await read('k_proj'))!]).to.deep.equal([0, 4, 2, 6]);
    expect([...(await read('v_proj'))!]).to.deep.equal([0, 2, 4, 6]);
  });

  it('rejects unknown tensors by name', async () => {
    const open = async (shapes: Record<string, number[]>) => {
      const files = await ggufFiles(memorySource(tinyGguf({}, shapes), 'm.gguf'));
      return (await openModelWeights(files, await describeModel(files))).stored;
    };
    expect((await open({})).size).to.equal(11);
    await expectRefused(() => open({ 'blk.0.attn_sinks.weight': [2] }), 'm.gguf', 'blk.0.attn_sinks.weight');
    await expectRefused(() => open({ 'blk.1.attn_q.weight': [8, 8] }), 'blk.1.attn_q.weight', 'llama');
    await expectRefused(() => open({ 'blk.0.attn_v.bias': [4] }), 'blk.0.attn_v.bias');
  });
});
