/** Models in every precision: what is stored in it, that it computes with the values that it stores, and what is refused. */
import { expect } from 'chai';
import { type Files, memoryFiles } from '../../src/io/files.ts';
import { float32ToHalf } from '../../src/io/half.ts';
import { ContentHash } from '../../src/io/hash.ts';
import {
  parseSafetensors,
  type TensorSource,
  type TensorToWrite,
  writeSafetensors,
} from '../../src/io/safetensors.ts';
import { CausalLM, type LoadOptions } from '../../src/model/causal-lm.ts';
import { Decoder } from '../../src/model/decoder.ts';
import { describeModel } from '../../src/model/description.ts';
import { freshAdapter, LoraAdapter } from '../../src/model/lora.ts';
import { bytesIn, LOAD_DTYPES, type LoadDtype } from '../../src/model/precision.ts';
import { uploadWeights } from '../../src/model/upload-weights.ts';
import { linearsOf, weightShapes } from '../../src/model/weight-shapes.ts';
import type { WeightDtype } from '../../src/tensor/formats.ts';
import gpt2 from '../fixtures/architectures/gpt2.json' with { type: 'json' };
import tinyConfig from '../fixtures/tiny-llama/config.json' with { type: 'json' };
import { expectRefused } from '../io/refused.ts';
import { random, relativeL2 } from '../reference/compare.ts';
import { decodeBytes, tinyLlama, tinyLlamaAdapter, tinyLlamaTied } from '../reference/fixtures.ts';
import { COARSE_PASS, COARSE_TIPS } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';
import { DTYPES, randomWeights, storedName } from '../support/weights.ts';
import { filesOf, greedy, packPairs, pass, productAdapter, randomPairs, roundedTo } from './tiny.ts';

const load = async (files: Files, options: LoadOptions = {}) =>
  CausalLM.load(await testGpu(), files, options);
const tiny = (options?: LoadOptions) => load(filesOf(tinyLlama), options);

const gpt2Files = memoryFiles(
  {
    'config.json': new TextEncoder().encode(JSON.stringify(gpt2.config)),
    'model.safetensors': decodeBytes(gpt2.weights),
  },
  'gpt2',
);

/** The fixture's weights, one of them changed. */
function withWeight(name: string, change: (tensor: TensorToWrite) => TensorToWrite): Files {
  const bytes = tinyLlama.files.get('model.safetensors')!;
  const tensors = new Map<string, TensorToWrite>(parseSafetensors(bytes, 'model.safetensors').tensors);
  tensors.set(name, change(tensors.get(name)!));
  return filesOf(tinyLlama, { 'model.safetensors': writeSafetensors(tensors) });
}

/** Log-probabilities of pairs, the gradients of a LoRA on all linear layers, and greedily generated tokens. */
async function numbersOf(model: CausalLM) {
  const adapter = model.attach(productAdapter(model, tinyLlamaAdapter.adapters, 8), { trainable: true });
  const packed = packPairs(randomPairs(3, 5));
  const upstream = Float32Array.from(random(8).normals(packed.targets.length));
  const logprobs = await pass(model.gpu, model, packed, upstream);
  const gradients = [...((await adapter.parameters?.read('gradients')) ?? [])].flatMap(([, values]) => [
    ...values,
  ]);
  const tokens = await greedy(model.gpu, model, [[5, 17, 3]], 5);
  model.dispose();
  return { logprobs, gradients: Float32Array.from(gradients), tokens };
}

/** A model of one layer, as wide as the widest blocks, all its matrices in random blocks, and an adapter on them. */
async function numbersInBlocks(stored: WeightDtype, dtype: LoadDtype) {
  const gpu = await testGpu();
  const sizes = {
    hidden_size: 256,
    intermediate_size: 256,
    head_dim: 64,
    vocab_size: 253,
    num_hidden_layers: 1,
  };
  const json = { ...tinyConfig, ...sizes };
  const description = await describeModel(memoryFiles({ 'config.json': JSON.stringify(json) }, 'wide'));
  const { config, architecture } = description;
  const shapes = weightShapes(architecture, config);
  const sources = [...shapes].map(([name, shape], seed): [string, TensorSource] => {
    const length = shape.reduce((a, b) => a * b, 1);
    const norm = new Uint8Array(new Float32Array(length).fill(0.05).buffer);
    return shape.length > 1
      ? [
          name,
          {
            dtype: storedName(stored),
            shape,
            where: name,
            read: async () => randomWeights(stored, length, seed).data,
          },
        ]
      : [name, { dtype: 'F32', shape, where: name, read: async () => norm }];
  });
  const matrices = new Set([...shapes].flatMap(([name, shape]) => (shape.length > 1 ? [name] : [])));
  const held = { shapes, stored: new Map(sources), matrices };
  const weights = await uploadWeights(gpu, held, dtype, new ContentHash());
  const model = new Decoder(gpu, config, architecture, weights);
  const fresh = freshAdapter(
    { r: 4, loraAlpha: 4, targetModules: [], useRslora: false },
    linearsOf(architecture, config),
    '',
    3,
  );
  for (const { b } of fresh.weights.values()) b.set(random(2).normals(b.length, 0.02));
  const adapter = LoraAdapter.from(gpu, fresh, { trainable: true });
  model.adapters.push(adapter);
  const packed = packPairs(randomPairs(3, 5));
  const upstream = Float32Array.from(random(8).normals(packed.targets.length));
  const logprobs = await pass(gpu, model, packed, upstream);
  const gradients = [...((await adapter.parameters?.read('gradients')) ?? [])].flatMap(([, values]) => [
    ...values,
  ]);
  model.dispose();
  return {
    logprobs,
    gradients: Float32Array.from(gradients),
    formats: new Set([...weights.tensors.values()].map((tensor) => tensor.dtype)),
  };
}

/** The same weights and the same sums; only the compiler may combine them differently. */
const SAME = 1e-6 + COARSE_TIPS;

describe('model/precision', () => {
  for (const dtype of DTYPES.filter((name) => name !== 'f32')) {
    it(`a model stored in ${dtype} computes and learns like its values in float32`, async () => {
      const actual = await numbersInBlocks(dtype, 'auto');
      const expected = await numbersInBlocks(dtype, 'float32');
      expect([...actual.formats]).to.have.members([dtype, 'f32']);
      expect([...expected.formats]).to.deep.equal(['f32']);
      expect(Math.max(...expected.gradients.map(Math.abs))).to.be.above(1e-4);
      expect(relativeL2(actual.logprobs, expected.logprobs), 'log-probabilities').to.be.below(SAME);
      expect(relativeL2(actual.gradients, expected.gradients), 'gradients').to.be.below(SAME);
    });
  }

  for (const dtype of LOAD_DTYPES.filter((name) => name !== 'auto')) {
    it(`${dtype} computes like its values in float32, with the same gradients`, async () => {
      const actual = await numbersOf(await tiny({ dtype }));
      const expected = await numbersOf(await load(roundedTo(dtype), { dtype: 'float32' }));
      // Only sums: strips of the head may have another width.
      expect(relativeL2(actual.logprobs, expected.logprobs), 'log-probabilities').to.be.below(SAME);
      expect(relativeL2(actual.gradients, expected.gradients), 'gradients').to.be.below(SAME);
      expect(actual.tokens).to.deep.equal(expected.tokens);
    });
  }

  it('rounds only as much as the precision requires', async () => {
    const exact = await numbersOf(await tiny());
    const error = async (dtype: LoadDtype) =>
      relativeL2((await numbersOf(await tiny({ dtype }))).logprobs, exact.logprobs);
    // The relative rounding of a weight, over a few layers.
    expect(await error('float16')).to.be.within(1e-6, 5e-4 + COARSE_PASS);
    expect(await error('bfloat16')).to.be.within(1e-5, 4e-3);
    expect(await error('q8_0')).to.be.within(1e-4, 1e-2);
    expect(await error('q4_0')).to.be.within(1e-3, 2e-1);
  });

  it('only applies to matrices, with f16 for rows that are not whole blocks', async () => {
    const model = await tiny({ dtype: 'q8_0' });
    const { hiddenSize, intermediateSize: inner, vocabSize, numHiddenLayers, headDim } = model.config;
    // Rows of one block each; an odd number of them is padded to pairs.
    const blocks = 2 * (vocabSize + 1) + numHiddenLayers * (2 * hiddenSize + 2 * 2 * headDim + 2 * inner);
    expect(Object.fromEntries(model.weightBytes)).to.deep.equal({
      q8_0: blocks * 34,
      f16: numHiddenLayers * hiddenSize * inner * 2,
      f32: (2 * numHiddenLayers + 1) * hiddenSize * 4,
    });
    model.dispose();
    const table = await load(gpt2Files, { dtype: 'bfloat16' });
    const { maxPositionEmbeddings, hiddenSize: width } = table.config;
    expect(table.weightBytes.get('f32')).to.be.above(maxPositionEmbeddings * width * 4);
    table.dispose();
  });

  it('keeps matrices as stored by default', async () => {
    const kept = async (files: Files, options?: LoadOptions) => {
      const model = await load(files, options);
      model.dispose();
      return [...model.weightBytes.keys()];
    };
    expect(await kept(filesOf(tinyLlama))).to.deep.equal(['f32']);
    expect(await kept(filesOf(tinyLlamaTied))).to.deep.equal(['bf16', 'f32']);
    expect(await kept(filesOf(tinyLlamaTied), { dtype: 'float32' })).to.deep.equal(['f32']);
    const half = withWeight('model.layers.1.mlp.up_proj.weight', ({ shape, data }) => ({
      shape,
      dtype: 'F16',
      data: new Uint8Array(float32ToHalf(new Float32Array(data.slice().buffer)).buffer),
    }));
    expect(await kept(half)).to.have.members(['f32', 'f16']);
  });

  it('has a different fingerprint if and only if its numbers differ', async () => {
    const fingerprint = async (options: LoadOptions) => {
      const model = await tiny(options);
      model.dispose();
      return model.fingerprint;
    };
    const dtypes: LoadDtype[] = ['float32', 'float16', 'bfloat16', 'q8_0', 'q4_0'];
    const all = await Promise.all(dtypes.map((dtype) => fingerprint({ dtype })));
    expect(new Set(all).size).to.equal(dtypes.length);
    expect(await fingerprint({})).to.equal(all[0]);
    expect(await fingerprint({ trainable: true })).to.equal(all[0]);
  });

  it('rejects a tensor that a precision cannot represent', async () => {
    const name = 'model.layers.0.self_attn.q_proj.weight';
    const files = withWeight(name, ({ shape, data }) => {
      const values = new Float32Array(data.slice().buffer);
      values[77] = 65520;
      return { dtype: 'F32', shape, data: new Uint8Array(values.buffer) };
    });
    await expectRefused(() => load(files, { dtype: 'float16' }), name, 'f16 cannot', 'bfloat16');
    (await load(files, { dtype: 'bfloat16' })).dispose();
    const huge = { dtype: 'F32', shape: [1, 32], where: 'm.safetensors, tensor "w"' } as const;
    const bytes = new Uint8Array(new Float32Array(32).fill(1e7).buffer);
    const source = { ...huge, shape: [1, 32], read: async () => bytes };
    await expectRefused(() => bytesIn('q8_0', source, bytes), 'tensor "w"', 'q8_0 cannot');
    const broken = { ...source, dtype: 'Q4_0' } as const;
    const blocks = new Uint8Array(18).fill(0x7c);
    await expectRefused(() => bytesIn('q4_0', broken, blocks), 'tensor "w"', 'q4_0 cannot');
  });

  it('rejects a precision for trained weights, and an unknown one', async () => {
    await expectRefused(
      () => tiny({ trainable: true, dtype: 'float16' }),
      'dtype',
      'all weights train',
      'adapter',
    );
    await expectRefused(() => tiny({ dtype: 'int3' as LoadDtype }), 'dtype', 'int3', 'q4_0');
    (await tiny({ trainable: true, dtype: 'float32' })).dispose();
  });

  it('names a tensor that exceeds every buffer, and says what to do', async () => {
    const gpu = await testGpu();
    const small = Object.create(gpu, { limits: { value: { maxBufferSize: 9000 } } });
    await expectRefused(
      () => CausalLM.load(small, filesOf(tinyLlama)),
      'model.embed_tokens.weight',
      '12.1 KiB in f32',
      '8.8 KiB',
      'smaller dtype',
    );
    (await CausalLM.load(small, filesOf(tinyLlama), { dtype: 'q8_0' })).dispose();
  });
});
