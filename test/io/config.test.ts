import { expect } from 'chai';
import { type ConfigDialect, parseConfig, parseConfigText } from '../../src/io/config.ts';
import type { JsonObject } from '../../src/io/json.ts';
import { expectRefused } from './refused.ts';

const FILE = 'models/x/config.json';
const DIALECTS: Record<string, ConfigDialect> = {
  llama: {},
  wordy: {
    names: { hidden_size: 'width', rms_norm_eps: 'epsilon' },
    defaults: { width: 48, hidden_act: 'gelu_new' },
    widening: 4,
  },
};

const base = {
  model_type: 'llama',
  hidden_size: 64,
  intermediate_size: 172,
  num_hidden_layers: 5,
  num_attention_heads: 8,
  vocab_size: 512,
};

/** A layer that sees all positions, with the usual frequencies. */
const plain = { window: undefined, rotary: { theta: 10000 } };

function longrope(more: JsonObject): JsonObject {
  const factors = [1, 2, 3];
  const fields = { type: 'longrope', short_factor: factors, long_factor: factors, attention_factor: 1 };
  return { rope_scaling: { ...fields, ...more } };
}

describe('io/config', () => {
  it('has the defaults of transformers', () => {
    expect(parseConfig(base, FILE, DIALECTS)).to.deep.equal({
      modelType: 'llama',
      hiddenSize: 64,
      intermediateSize: 172,
      numHiddenLayers: 5,
      numAttentionHeads: 8,
      numKeyValueHeads: 8,
      headDim: 8,
      vocabSize: 512,
      maxPositionEmbeddings: 2048,
      normEps: 1e-6,
      queryScale: 1 / Math.sqrt(8),
      layers: Array(5).fill(plain),
      tieWordEmbeddings: false,
      attentionBias: false,
      mlpBias: false,
      activation: 'silu',
      bosTokenId: undefined,
      eosTokenIds: [],
      torchDtype: undefined,
    });
  });

  it('ignores tokens beyond the vocabulary with a notice, as in a small model with a large one’s settings', () => {
    const config = parseConfig({ ...base, bos_token_id: 50256, eos_token_id: [2, 50256] }, FILE, DIALECTS);
    expect(config).to.deep.include({ bosTokenId: undefined, eosTokenIds: [2] });
    expect(config.notices).to.deep.equal(
      ['bos', 'eos'].map(
        (name) =>
          `${FILE}, "${name}_token_id": 50256 is not in the vocabulary of 512 tokens; it is ignored, so no text begins or ends with it.`,
      ),
    );
  });

  it('accepts odd heads with learned positions: only rotary ones rotate pairs', () => {
    const dialects = { llama: { rotary: false } };
    expect(parseConfig({ ...base, head_dim: 7 }, FILE, dialects).headDim).to.equal(7);
  });

  it('reads what transformers 4 writes', () => {
    const config = parseConfig(
      {
        ...base,
        head_dim: 16,
        num_key_value_heads: 2,
        rope_theta: 5e5,
        rope_scaling: null,
        torch_dtype: 'bfloat16',
        bos_token_id: 1,
        eos_token_id: [2, 3],
        tie_word_embeddings: true,
      },
      FILE,
      DIALECTS,
    );
    expect(config).to.include({
      headDim: 16,
      numKeyValueHeads: 2,
      torchDtype: 'bfloat16',
      bosTokenId: 1,
    });
    expect(config.layers[4]).to.deep.equal({ window: undefined, rotary: { theta: 5e5 } });
    expect(config.eosTokenIds).to.deep.equal([2, 3]);
    expect(config.tieWordEmbeddings).to.equal(true);
  });

  it('reads what transformers 5 writes', () => {
    const rope_parameters = { rope_theta: 7e4, rope_type: 'default' };
    const config = parseConfig(
      { ...base, dtype: 'float32', rope_parameters, pretraining_tp: 1 },
      FILE,
      DIALECTS,
    );
    expect(config.torchDtype).to.equal('float32');
    expect(config.layers[0]).to.deep.equal({ window: undefined, rotary: { theta: 7e4 } });
  });

  const refused: [string, Record<string, unknown>, string[]][] = [
    ['another architecture, listing its own', { model_type: 'gpt2' }, ['"gpt2"', 'llama, wordy']],
    ['no model_type', { model_type: undefined }, ['model_type', 'is missing']],
    ['a missing size', { hidden_size: undefined }, ['"hidden_size"', 'is missing']],
    ['a size of zero', { num_hidden_layers: 0 }, ['"num_hidden_layers"', 'is 0']],
    ['a negative size', { vocab_size: -5 }, ['"vocab_size"', '-5']],
    ['half a layer', { num_hidden_layers: 1.5 }, ['"num_hidden_layers"']],
    ['a size as text', { hidden_size: '64' }, ['"hidden_size"', '"64"']],
    ['an implausible vocabulary', { vocab_size: 1e12 }, ['"vocab_size"']],
    [
      'heads that do not divide the width',
      { num_attention_heads: 7 },
      ['"num_attention_heads"', 'hidden_size (64)'],
    ],
    ['key heads that do not divide the heads', { num_key_value_heads: 3 }, ['"num_key_value_heads"', '(8)']],
    ['an odd head', { head_dim: 7 }, ['"head_dim"']],
    [
      'scaled rotary positions',
      { rope_scaling: { rope_type: 'dynamic', factor: 8 } },
      ['"rope_scaling"', '"dynamic"', 'default, linear, llama3'],
    ],
    [
      'scaled rotary positions, old name',
      { rope_scaling: { type: 'su', factor: 2 } },
      ['"rope_scaling"', '"su"'],
    ],
    [
      'scaled rotary positions, new place',
      { rope_parameters: { rope_type: 'yarn' } },
      ['"rope_parameters"', '"yarn"'],
    ],
    ['a partial rotation', { partial_rotary_factor: 0.5 }, ['"partial_rotary_factor"']],
    ['another activation', { hidden_act: 'gelu' }, ['"hidden_act"', '"gelu"', 'silu']],
    ['tensor-parallel slices', { pretraining_tp: 4 }, ['"pretraining_tp"']],
    ['quantized weights', { quantization_config: { bits: 4 } }, ['"quantization_config"']],
    [
      'a ramp without width',
      {
        rope_scaling: { rope_type: 'llama3', factor: 8, low_freq_factor: 2, high_freq_factor: 2 },
      },
      ['"rope_scaling"', '"high_freq_factor"', '(2)'],
    ],
    [
      'factors of other pairs in long contexts',
      longrope({ long_factor: [1] }),
      ['"long_factor"', '3 numbers'],
    ],
    ['an attention factor of 0', longrope({ attention_factor: 0 }), ['"attention_factor"', '0']],
    ['a frequency factor of 0', longrope({ short_factor: [1, 0] }), ['"short_factor"']],
    ['too few factors', longrope({}), ['"rope_scaling"', '4 factors']],
    ['a wrong number of layer types', { layer_types: ['full_attention'] }, ['"layer_types"', '5 of']],
    ['soft-capped logits', { final_logit_softcapping: 30 }, ['"final_logit_softcapping"', '30']],
    ['bidirectional attention', { use_bidirectional_attention: true }, ['"use_bidirectional_attention"']],
    ['a field with an architecture-specific name', { model_type: 'wordy', width: 0 }, ['"width"', 'is 0']],
    ['an epsilon of zero', { rms_norm_eps: 0 }, ['"rms_norm_eps"']],
    ['a token below the vocabulary', { bos_token_id: -1 }, ['"bos_token_id"', '-1']],
    ['a flag as text', { tie_word_embeddings: 'yes' }, ['"tie_word_embeddings"', '"yes"']],
  ];
  for (const [name, fields, parts] of refused) {
    it(`refuses ${name}`, () =>
      expectRefused(
        () => parseConfigText(JSON.stringify({ ...base, ...fields }), FILE, DIALECTS),
        FILE,
        ...parts,
      ));
  }

  it('reads a factor for each frequency', () => {
    const { layers } = parseConfig({ ...base, head_dim: 6, ...longrope({}) }, FILE, DIALECTS);
    expect(layers[0]?.rotary).to.deep.equal({ theta: 10000, factors: [1, 2, 3] });
  });

  it('reads scaled rotary positions', () => {
    const llama3 = {
      rope_type: 'llama3',
      factor: 32,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    };
    const expected = {
      theta: 5e5,
      llama3: { factor: 32, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositionEmbeddings: 8192 },
    };
    const old = { ...base, rope_theta: 5e5, rope_scaling: llama3 };
    expect(parseConfig(old, FILE, DIALECTS).layers[0]?.rotary).to.deep.equal(expected);
    const current = { ...base, rope_parameters: { ...llama3, rope_theta: 5e5 } };
    expect(parseConfig(current, FILE, DIALECTS).layers[0]?.rotary).to.deep.equal(expected);
    const linear = { ...base, rope_scaling: { type: 'linear', factor: 2 } };
    expect(parseConfig(linear, FILE, DIALECTS).layers[0]?.rotary).to.deep.equal({
      theta: 10000,
      linearFactor: 2,
    });
  });

  it('prefers rope_scaling to rope_parameters, and the nearest θ, like transformers', () => {
    const rotary = (fields: Record<string, unknown>) =>
      parseConfig({ ...base, ...fields } as never, FILE, DIALECTS).layers.map((layer) => layer.rotary)[0];
    const rope_parameters = { rope_type: 'default', rope_theta: 5e3 };
    const rope_scaling = { rope_type: 'linear', factor: 4 };
    const linear = { theta: 7, linearFactor: 4 };
    expect(rotary({ rope_parameters, rope_scaling, rope_theta: 7 })).to.deep.equal(linear);
    expect(rotary({ rope_parameters, rope_scaling: {}, rope_theta: 7 })).to.deep.equal({ theta: 5e3 });
    expect(rotary({ rope_parameters: {}, rope_theta: 7 })).to.deep.equal({ theta: 7 });
    expect(rotary({ rope_scaling: { ...rope_scaling, rope_theta: 7 }, rope_theta: 9 })).to.deep.equal(linear);
  });

  it('applies rope_scaling to full layers only if parameters are given by layer type', () => {
    const rope_parameters = {
      full_attention: { rope_type: 'default', rope_theta: 1e6 },
      sliding_attention: { rope_type: 'default', rope_theta: 1e4 },
    };
    const fields = { num_hidden_layers: 2, sliding_window: 16, sliding_window_pattern: 2, rope_parameters };
    const { layers } = parseConfig(
      { ...base, ...fields, rope_scaling: { rope_type: 'linear', factor: 8 } },
      FILE,
      DIALECTS,
    );
    expect(layers.map(({ rotary }) => rotary)).to.deep.equal([
      { theta: 1e4 },
      { theta: 1e6, linearFactor: 8 },
    ]);
  });

  const windows = (fields: Record<string, unknown>) =>
    parseConfigText(JSON.stringify({ ...base, ...fields }), FILE, DIALECTS).layers.map(
      ({ window }) => window ?? 0,
    );

  it('reads windows: for all layers, from a layer on, for all but every n-th, as listed', () => {
    expect(windows({ sliding_window: 16 })).to.deep.equal([16, 16, 16, 16, 16]);
    expect(windows({ sliding_window: 16, max_window_layers: 3 })).to.deep.equal([0, 0, 0, 16, 16]);
    expect(windows({ sliding_window: 16, sliding_window_pattern: 2 })).to.deep.equal([16, 0, 16, 0, 16]);
    const layer_types = [1, 0, 0, 1, 0].map((slides) => (slides ? 'sliding_attention' : 'full_attention'));
    expect(windows({ sliding_window: 16, layer_types })).to.deep.equal([16, 0, 0, 16, 0]);
  });

  it('ignores a window that is not used or not shorter than the context', () => {
    expect(windows({ sliding_window: 2048 })).to.deep.equal([0, 0, 0, 0, 0]);
    expect(windows({ sliding_window: 16, use_sliding_window: false })).to.deep.equal([0, 0, 0, 0, 0]);
  });

  it('gives layers with windows their own positions, in the formats of transformers 4 and 5', () => {
    const rope_parameters = {
      full_attention: { rope_type: 'linear', factor: 8, rope_theta: 1e6 },
      sliding_attention: { rope_type: 'default', rope_theta: 1e4 },
    };
    const expected = [
      { window: 16, rotary: { theta: 1e4 } },
      { window: undefined, rotary: { theta: 1e6, linearFactor: 8 } },
    ];
    const shared = { ...base, num_hidden_layers: 2, sliding_window: 16, sliding_window_pattern: 2 };
    const old = {
      rope_theta: 1e6,
      rope_local_base_freq: 1e4,
      rope_scaling: { rope_type: 'linear', factor: 8 },
    };
    for (const rope of [{ rope_parameters }, old]) {
      expect(parseConfig({ ...shared, ...rope }, FILE, DIALECTS).layers).to.deep.equal(expected);
    }
  });

  it('reads a dialect: names, defaults, the width of the feed-forward layer', () => {
    const { hidden_size: _, intermediate_size: __, ...rest } = base;
    const config = parseConfig({ ...rest, model_type: 'wordy', epsilon: 1e-3 }, FILE, DIALECTS);
    expect(config).to.include({ hiddenSize: 48, intermediateSize: 192, normEps: 1e-3, activation: 'gelu' });
    expect(parseConfig({ ...base, model_type: 'wordy', width: 32 }, FILE, DIALECTS).hiddenSize).to.equal(32);
  });

  it("ignores Python's NaN and Infinity in fields that are not read, and rejects them in others", async () => {
    const text = JSON.stringify({ ...base, unread: 0 });
    const config = (value: string) => parseConfigText(text.replace('"unread":0', value), FILE, DIALECTS);
    expect(config('"unread":[NaN,-Infinity]')).to.deep.equal(config('"unread":0'));
    await expectRefused(
      () => config('"rms_norm_eps":NaN'),
      FILE,
      '"rms_norm_eps"',
      'is "NaN", expected a number',
    );
  });

  it('names the line of a malformed file', () =>
    expectRefused(() => parseConfigText('{\n  "model_type": llama\n}', FILE, DIALECTS), FILE, 'line 2'));
});
