/** Configurations of published models, for every row whose file has more fields than Llama's; and what such a row refuses. */
import { expect } from 'chai';
import { parseConfig } from '../../src/io/config.ts';
import { DIALECTS } from '../../src/model/architectures.ts';
import { expectRefused } from '../io/refused.ts';

const FILE = 'x/config.json';
const SIZES = { hidden_size: 64, intermediate_size: 96, num_attention_heads: 4, vocab_size: 100 };

const parse = (model_type: string, fields: Record<string, unknown>) =>
  parseConfig({ ...SIZES, num_hidden_layers: 4, model_type, ...fields } as never, FILE, DIALECTS);

const refused = (model_type: string, fields: Record<string, unknown>, ...parts: string[]) =>
  expectRefused(() => parse(model_type, fields), FILE, ...parts);

describe('published configurations', () => {
  it('Granite: factors of scores, embedding, residual sums and logits', async () => {
    const factors = {
      attention_multiplier: 0.015625,
      embedding_multiplier: 12,
      residual_multiplier: 0.22,
      logits_scaling: 8,
    };
    expect(parse('granite', factors)).to.include({
      queryScale: 0.015625,
      embeddingMultiplier: 12,
      residualMultiplier: 0.22,
      logitsScaling: 8,
    });
    expect(parse('granite', {}).queryScale).to.equal(1);
    for (const name of ['embedding_multiplier', 'residual_multiplier', 'logits_scaling']) {
      await refused('granite', { [name]: 0 }, name, 'is 0');
      await refused('llama', { [name]: 2 }, name, '2 is not supported');
      expect(parse('llama', { [name]: 1 })).to.deep.equal(parse('llama', {}));
    }
    await refused('llama', { attention_multiplier: 0.5 }, 'attention_multiplier');
  });

  it('SmolLM3: layers without positions, as listed or every n-th', async () => {
    const turns = (fields: Record<string, unknown>) =>
      parse('smollm3', fields).layers.map(({ rotary }) => rotary?.theta ?? 0);
    const theta = 5e6;
    expect(turns({})).to.deep.equal([2e6, 2e6, 2e6, 0]);
    const published = { rope_theta: theta, no_rope_layer_interval: 4, pretraining_tp: 2 };
    expect(turns({ ...published, no_rope_layers: [1, 0, 1, 1, 1] })).to.deep.equal([theta, 0, theta, theta]);
    expect(turns({ ...published, no_rope_layer_interval: 2 })).to.deep.equal([theta, 0, theta, 0]);
    // If the file does not list its layers, those without positions have no windows.
    const windows = { use_sliding_window: true, sliding_window: 8, no_rope_layers: [1, 0, 1, 1] };
    expect(parse('smollm3', windows).layers.map(({ window }) => window)).to.deep.equal([
      undefined,
      8,
      undefined,
      undefined,
    ]);
    await refused('smollm3', { no_rope_layers: [1, 0] }, 'no_rope_layers', '4 layers');
    await refused('smollm3', { no_rope_layers: [1, 2, 1, 1] }, 'no_rope_layers');
    await refused('llama', { no_rope_layers: [1, 0, 1, 1] }, 'no_rope_layers');
    await refused('llama', { pretraining_tp: 2 }, 'pretraining_tp');
  });

  it('OLMo 2: only norms after the blocks', () => {
    const { modelType, ...numbers } = parse('olmo2', { rope_theta: 5e5, sliding_window: null });
    const { modelType: _, ...llama } = parse('llama', { rope_theta: 5e5, rms_norm_eps: 1e-5 });
    expect(numbers).to.deep.equal(llama);
  });

  it('Gemma 2: soft caps, windows in every other layer, a scale of queries', async () => {
    const published = {
      query_pre_attn_scalar: 144,
      head_dim: 16,
      sliding_window: 512,
      hidden_act: 'gelu_pytorch_tanh',
    };
    const config = parse('gemma2', published);
    expect(config).to.include({
      attentionSoftCap: 50,
      logitSoftCap: 30,
      queryScale: 1 / 12,
      tieWordEmbeddings: true,
    });
    expect(config.layers.map(({ window }) => window)).to.deep.equal([512, undefined, 512, undefined]);
    const none = { ...published, attn_logit_softcapping: null, final_logit_softcapping: null };
    expect(parse('gemma2', none)).to.not.have.any.keys('attentionSoftCap', 'logitSoftCap');
    await refused('gemma2', { ...published, attn_logit_softcapping: 0 }, 'attn_logit_softcapping', 'is 0');
    await refused('gemma3_text', { head_dim: 16, final_logit_softcapping: 30 }, 'final_logit_softcapping');
  });

  describe('Phi-3 and Phi-4-mini', () => {
    // Heads of width 16, of which 12 dimensions are rotated: six pairs.
    const short = [1, 1.1, 1.2, 1.3, 1.4, 1.5];
    const long = [1, 2, 4, 8, 16, 32];
    const scaling = { type: 'longrope', short_factor: short, long_factor: long };
    const phi4 = {
      max_position_embeddings: 131072,
      original_max_position_embeddings: 4096,
      partial_rotary_factor: 0.75,
      rope_scaling: scaling,
      sliding_window: 262144,
      attention_bias: false,
    };

    it('rotate whole heads in short contexts', () => {
      const { layers, maxPositionEmbeddings } = parse('phi3', { rope_scaling: null, sliding_window: 2047 });
      expect(layers[0]).to.deep.equal({ window: 2047, rotary: { theta: 10000 } });
      expect(maxPositionEmbeddings).to.equal(4096);
    });

    it('rotate a part of a head with factors, up to the original context', () => {
      const { layers, maxPositionEmbeddings } = parse('phi3', phi4);
      const attentionFactor = Math.sqrt(1 + Math.log(32) / Math.log(4096));
      expect(layers[3]).to.deep.equal({
        window: undefined,
        rotary: {
          theta: 10000,
          dimensions: 12,
          factors: short,
          long: { factors: long, context: 131072, originalContext: 4096 },
          attentionFactor,
        },
      });
      expect(maxPositionEmbeddings).to.equal(4096);
      // If the short and long factors are equal, or are for a single context length, nothing changes beyond it.
      const same = { ...phi4, rope_scaling: { ...scaling, long_factor: short, attention_factor: 1 } };
      expect(parse('phi3', same).layers[0]?.rotary).to.deep.equal({
        theta: 10000,
        dimensions: 12,
        factors: short,
      });
      expect(parse('phi3', same).maxPositionEmbeddings).to.equal(131072);
      const current = { ...scaling, rope_theta: 10000, partial_rotary_factor: 0.75, factor: 32 };
      const { partial_rotary_factor: _, rope_scaling: __, ...rest } = phi4;
      expect(parse('phi3', { ...rest, rope_parameters: current }).layers).to.deep.equal(layers);
    });

    it('are rejected by field if a file has other values', async () => {
      await refused(
        'phi3',
        { ...phi4, partial_rotary_factor: 0.7 },
        'partial_rotary_factor',
        '16 dimensions',
      );
      await refused('phi3', { ...phi4, partial_rotary_factor: 1 }, 'rope_scaling', '8 factors');
      await refused('phi3', { ...phi4, rope_scaling: { ...scaling, long_factor: [1] } }, 'long_factor', '6');
      await refused('phi3', { ...phi4, rope_scaling: { ...scaling, short_factor: null } }, 'short_factor');
      await refused('phi3', { ...phi4, rope_scaling: { ...scaling, type: 'yarn' } }, '"yarn"', 'longrope');
      await refused('llama', { partial_rotary_factor: 0.75 }, 'partial_rotary_factor', 'this architecture');
    });
  });
});
