/** The configuration of a GGUF file: what its keys say, what they omit, and what webalign cannot compute. */
import { expect } from 'chai';
import { memorySource } from '../../../src/io/byte-source.ts';
import { parseConfig } from '../../../src/io/config.ts';
import { ggufConfig } from '../../../src/io/gguf/config.ts';
import { openGguf } from '../../../src/io/gguf/reader.ts';
import { type GgufTensor, type GgufValue, writeGguf } from '../../../src/io/gguf/writer.ts';
import type { JsonObject } from '../../../src/io/json.ts';
import { DIALECTS } from '../../../src/model/architectures.ts';
import { ggufMetadata, ggufNumbers, TINY_LLAMA } from '../../support/gguf.ts';
import { expectRefused } from '../refused.ts';

type Values = Readonly<Record<string, Parameters<typeof ggufMetadata>[0][string] | undefined>>;

const f32 = (shape: number[], values: readonly number[] = []): GgufTensor => {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  data.set(values);
  return { dtype: 'F32', shape, data: new Uint8Array(data.buffer) };
};

/** The configuration of the tiny llama, or another architecture, with other values; `undefined` removes a key. */
async function config(
  values: Values = {},
  tensors: Readonly<Record<string, GgufTensor>> = {},
  architecture = 'llama',
): Promise<JsonObject> {
  const named = Object.entries(TINY_LLAMA).map(([key, value]) => [
    key.replace(/^llama\./, `${architecture}.`),
    value,
  ]);
  const all = { ...Object.fromEntries(named), 'general.architecture': architecture, ...values };
  const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  const file = writeGguf(
    ggufMetadata(given as Parameters<typeof ggufMetadata>[0]),
    new Map(Object.entries({ 'token_embd.weight': f32([9, 8]), ...tensors })),
  );
  return ggufConfig(await openGguf(memorySource(file, 'm.gguf')), 'm.gguf');
}

const parsed = async (...given: Parameters<typeof config>) =>
  parseConfig(await config(...given), 'm.gguf/config.json', DIALECTS);

describe('io/gguf-config', () => {
  it('equals the configuration that transformers writes for the same model', async () => {
    expect(
      await config({ 'tokenizer.ggml.bos_token_id': 1, 'tokenizer.ggml.eos_token_id': 2 }),
    ).to.deep.equal({
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      hidden_size: 8,
      intermediate_size: 4,
      max_position_embeddings: 16,
      num_attention_heads: 2,
      num_hidden_layers: 1,
      // float32's 0.000009999999747378752
      rms_norm_eps: 1e-5,
      vocab_size: 9,
      tie_word_embeddings: true,
      attention_bias: false,
      mlp_bias: false,
      hidden_act: 'silu',
      head_dim: 4,
      num_key_value_heads: 1,
      rope_theta: 500,
      bos_token_id: 1,
      eos_token_id: 2,
      torch_dtype: 'float32',
    });
  });

  it('gets missing metadata from the tensors and from llama.cpp’s defaults', async () => {
    const bare = { 'llama.attention.head_count_kv': undefined, 'llama.rope.freq_base': undefined };
    const tensors = { 'output.weight': f32([9, 8]), 'blk.0.attn_q.bias': f32([8]) };
    expect(await config(bare, tensors)).to.include({
      num_key_value_heads: 2,
      rope_theta: 10000,
      tie_word_embeddings: false,
      attention_bias: true,
    });
    const wide = {
      'llama.attention.key_length': 6,
      'llama.attention.value_length': 6,
      'llama.rope.dimension_count': 6,
    };
    expect(await config(wide)).to.include({ head_dim: 6 });
  });

  it('finds all end tokens', async () => {
    const ends = {
      'tokenizer.ggml.eos_token_id': 2,
      'tokenizer.ggml.eot_token_id': 3,
      'tokenizer.ggml.eom_token_id': 2,
    };
    expect((await parsed(ends)).eosTokenIds).to.deep.equal([2, 3]);
  });

  it('reads factors of frequencies: one for all, one for each, both', async () => {
    const rotary = async (...given: Parameters<typeof config>) => (await parsed(...given)).layers[0]?.rotary;
    const scaled = (factor: number, type?: string): Values => ({
      ...(type !== undefined && { 'llama.rope.scaling.type': type }),
      'llama.rope.scaling.factor': { type: 'float32', value: factor },
    });
    const each = { 'rope_freqs.weight': f32([2], [1, 8]) };
    expect(await rotary()).to.deep.equal({ theta: 500 });
    expect(await rotary(scaled(4))).to.deep.equal({ theta: 500, linearFactor: 4 });
    expect(await rotary(scaled(4, 'linear'))).to.deep.equal({ theta: 500, linearFactor: 4 });
    expect(await rotary(scaled(4, 'none'))).to.deep.equal({ theta: 500 });
    expect(await rotary(scaled(0))).to.deep.equal({ theta: 500 });
    expect(await rotary({ 'llama.rope.scale_linear': { type: 'float32', value: 2 } })).to.deep.equal({
      theta: 500,
      linearFactor: 2,
    });
    expect(await rotary({}, each)).to.deep.equal({ theta: 500, factors: [1, 8] });
    expect(await rotary(scaled(4), each)).to.deep.equal({ theta: 500, factors: [4, 32] });
    await expectRefused(() => config({}, { 'rope_freqs.weight': f32([3], [1, 2, 3]) }), 'rope_freqs', '(3)');
  });

  const windows = async (architecture: string, values: Values) => {
    const { modelType, layers } = await parsed(
      { [`${architecture}.block_count`]: 7, ...values },
      {},
      architecture,
    );
    return [modelType, ...layers.map(({ window, rotary }) => `${window ?? '-'} ${rotary?.theta}`)];
  };

  it('gives Gemma windows in all but each sixth layer, or as the file lists them', async () => {
    const window: Values = { 'gemma3.attention.sliding_window': 5 };
    const [s, f] = ['5 10000', '- 500'];
    expect(await windows('gemma3', window)).to.deep.equal(['gemma3_text', s, s, s, s, s, f, s]);
    const swa = { ...window, 'gemma3.rope.freq_base_swa': 700 };
    expect(await windows('gemma3', swa)).to.deep.equal([
      'gemma3_text',
      ...Array(5).fill('5 700'),
      f,
      '5 700',
    ]);
    const third = { ...window, 'gemma3.attention.sliding_window_pattern': 3 };
    expect(await windows('gemma3', third)).to.deep.equal(['gemma3_text', s, s, f, s, s, f, s]);
    const listed = ggufNumbers('bool', [0, 1, 0, 0, 0, 0, 1]);
    const pattern = { ...window, 'gemma3.attention.sliding_window_pattern': listed };
    expect(await windows('gemma3', pattern)).to.deep.equal(['gemma3_text', f, s, f, f, f, f, s]);
    expect(await windows('gemma3', {})).to.deep.equal(['gemma3_text', ...Array(7).fill(f)]);
    const scale = async (layers: number) =>
      (await parsed({ 'gemma3.block_count': layers, 'gemma3.attention.key_length': 6 }, {}, 'gemma3'))
        .queryScale;
    expect(await scale(7)).to.be.closeTo(6 ** -0.5, 1e-12);
    // llama.cpp recognizes the 27B by its number of layers: width 8, 2 heads.
    expect(await scale(62)).to.be.closeTo(4 ** -0.5, 1e-12);
  });

  it('converts a llama with windows to a Mistral', async () => {
    const all = Array(7).fill('5 500');
    expect(await windows('llama', { 'llama.attention.sliding_window': 5 })).to.deep.equal([
      'mistral',
      ...all,
    ]);
    expect((await windows('llama', { 'llama.attention.sliding_window': 0 }))[0]).to.equal('llama');
    expect(await windows('qwen2', { 'qwen2.attention.sliding_window': 5 })).to.deep.equal(['qwen2', ...all]);
  });

  it("reads Granite's factors, and scales scores like Llama by default", async () => {
    const factors = {
      'granite.attention.scale': 0.25,
      'granite.embedding_scale': 12,
      'granite.residual_scale': 0.22,
      'granite.logit_scale': 8,
    };
    const multipliers = { embeddingMultiplier: 12, residualMultiplier: 0.22, logitsScaling: 8 };
    expect(await parsed(factors, {}, 'granite')).to.include({ ...multipliers, queryScale: 0.25 });
    const none = await parsed({ 'granite.attention.scale': 0 }, {}, 'granite');
    expect(none).to.include({ modelType: 'granite', queryScale: 0.5 }).and.not.have.any.keys(multipliers);
    const hybrid = { 'granite.rope.scaling.finetuned': false };
    await expectRefused(() => config(hybrid, {}, 'granite'), 'granite.rope.scaling.finetuned', 'rotary');
  });

  it('gives SmolLM3 layers without positions, every fourth', async () => {
    const { layers } = await parsed({ 'smollm3.block_count': 9 }, {}, 'smollm3');
    const without = layers.flatMap(({ rotary }, i) => (rotary ? [] : [i]));
    expect(without).to.deep.equal([3, 7]);
  });

  it('reads Phi: partial rotation of heads, factors for short and long contexts', async () => {
    const values: Values = {
      'phi3.attention.key_length': 8,
      'phi3.attention.value_length': 8,
      'phi3.rope.dimension_count': 6,
      'phi3.rope.scaling.original_context_length': 8,
      'phi3.rope.scaling.attn_factor': { type: 'float32', value: 1.19 },
    };
    const factors = {
      'rope_factors_short.weight': f32([3], [1, 1.1, 1.2]),
      'rope_factors_long.weight': f32([3], [1, 4, 16]),
    };
    const { layers, maxPositionEmbeddings } = await parsed(values, factors, 'phi3');
    expect(layers[0]?.rotary).to.deep.equal({
      theta: 500,
      dimensions: 6,
      factors: [1, 1.1, 1.2],
      long: { factors: [1, 4, 16], context: 16, originalContext: 8 },
      attentionFactor: 1.19,
    });
    expect(maxPositionEmbeddings).to.equal(8);
    expect((await parsed({}, {}, 'phi3')).layers[0]?.rotary).to.deep.equal({ theta: 500 });
    const short = { ...factors, 'rope_factors_short.weight': f32([2], [1, 2]) };
    await expectRefused(() => parsed(values, short, 'phi3'), 'm.gguf', '2 numbers');
  });

  it('gives Gemma 2 windows in every other layer, and its caps', async () => {
    const values = { 'gemma2.attention.sliding_window': 5, 'gemma2.final_logit_softcapping': 20 };
    const [s, f] = ['5 500', '- 500'];
    expect(await windows('gemma2', values)).to.deep.equal(['gemma2', s, f, s, f, s, f, s]);
    expect(await parsed(values, {}, 'gemma2')).to.include({ attentionSoftCap: 50, logitSoftCap: 20 });
    const scale = async (layers: number) =>
      (await parsed({ 'gemma2.block_count': layers, 'gemma2.attention.key_length': 6 }, {}, 'gemma2'))
        .queryScale;
    expect([await scale(26), await scale(46)]).to.deep.equal([1 / Math.sqrt(6), 1 / Math.sqrt(4)]);
  });

  it('refuses OLMo 3, which llama.cpp reads as OLMo 2 with windows', async () => {
    const values = { 'olmo2.attention.sliding_window': 8 };
    await expectRefused(() => config(values, {}, 'olmo2'), 'olmo2.attention.sliding_window', 'OLMo 3');
    expect((await parsed({}, {}, 'olmo2')).modelType).to.equal('olmo2');
  });

  const wrong: [string, Values, ...string[]][] = [
    [
      'another architecture',
      { 'general.architecture': 'mamba' },
      'general.architecture',
      '"mamba"',
      'qwen3, gemma3',
    ],
    ['no architecture', { 'general.architecture': undefined }, 'general.architecture', 'llama'],
    [
      'a width that is missing',
      { 'llama.embedding_length': undefined },
      'llama.embedding_length',
      'is missing',
    ],
    [
      'layers that differ',
      { 'llama.feed_forward_length': ggufNumbers('uint32', [1]) },
      'a list of 1',
      'one number',
    ],
    ['an implausible number of layers', { 'llama.block_count': 4000000000 }, 'llama.block_count', '4096'],
    [
      'keys and values of different lengths',
      { 'llama.attention.value_length': 6 },
      'llama.attention.value_length',
      'is 6',
    ],
    ['partially rotated heads', { 'llama.rope.dimension_count': 2 }, 'llama.rope.dimension_count', 'is 2'],
    ['other scalings', { 'llama.rope.scaling.type': 'yarn' }, 'llama.rope.scaling.type', '"yarn"', 'linear'],
    ['experts', { 'llama.expert_count': 8 }, 'llama.expert_count', '8 is not supported'],
    ['bidirectional attention', { 'llama.attention.causal': false }, 'llama.attention.causal'],
    ['soft caps', { 'llama.final_logit_softcapping': 30 }, 'llama.final_logit_softcapping'],
    ['a NaN', { 'llama.rope.freq_base': { type: 'float32', value: Number.NaN } }, 'finite'],
    ['text instead of a number', { 'llama.context_length': '2k' as unknown as GgufValue }, '"2k"'],
    [
      'a pattern for other layers',
      {
        'llama.attention.sliding_window': 5,
        'llama.attention.sliding_window_pattern': ggufNumbers('bool', [1, 1]),
      },
      'sliding_window_pattern',
      'a list of 2',
    ],
  ];
  for (const [name, values, ...parts] of wrong) {
    it(`refuses ${name}`, () => expectRefused(() => config(values), 'm.gguf', ...parts));
  }

  it('refuses a file without an embedding', () =>
    expectRefused(() => config({}, { 'token_embd.weight': f32([9]) }), 'm.gguf', 'token_embd.weight'));
});
