import { expect } from 'chai';
import { parseConfig, parseConfigText } from '../../src/io/config.ts';
import { expectRefused } from './refused.ts';

const FILE = 'models/x/config.json';
const SUPPORTED = ['llama', 'mistral'];

const base = {
  model_type: 'llama',
  hidden_size: 64,
  intermediate_size: 172,
  num_hidden_layers: 5,
  num_attention_heads: 8,
  vocab_size: 512,
};

describe('io/config', () => {
  it('fills in what transformers fills in', () => {
    expect(parseConfig(base, FILE, SUPPORTED)).to.deep.equal({
      modelType: 'llama',
      hiddenSize: 64,
      intermediateSize: 172,
      numHiddenLayers: 5,
      numAttentionHeads: 8,
      numKeyValueHeads: 8,
      headDim: 8,
      vocabSize: 512,
      maxPositionEmbeddings: 2048,
      rmsNormEps: 1e-6,
      ropeTheta: 10000,
      tieWordEmbeddings: false,
      attentionBias: false,
      mlpBias: false,
      hiddenAct: 'silu',
      bosTokenId: undefined,
      eosTokenIds: [],
      torchDtype: undefined,
    });
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
      SUPPORTED,
    );
    expect(config).to.include({
      headDim: 16,
      numKeyValueHeads: 2,
      ropeTheta: 5e5,
      torchDtype: 'bfloat16',
      bosTokenId: 1,
    });
    expect(config.eosTokenIds).to.deep.equal([2, 3]);
    expect(config.tieWordEmbeddings).to.equal(true);
  });

  it('reads what transformers 5 writes', () => {
    const rope_parameters = { rope_theta: 7e4, rope_type: 'default' };
    const config = parseConfig(
      { ...base, dtype: 'float32', rope_parameters, pretraining_tp: 1 },
      FILE,
      SUPPORTED,
    );
    expect(config).to.include({ ropeTheta: 7e4, torchDtype: 'float32' });
  });

  const refused: [string, Record<string, unknown>, string[]][] = [
    ['another architecture, listing its own', { model_type: 'gpt2' }, ['"gpt2"', 'llama, mistral']],
    ['no model_type', { model_type: undefined }, ['model_type', 'is missing']],
    ['a missing size', { hidden_size: undefined }, ['"hidden_size"', 'is missing']],
    ['a size of zero', { num_hidden_layers: 0 }, ['"num_hidden_layers"', 'is 0']],
    ['a negative size', { vocab_size: -5 }, ['"vocab_size"', '-5']],
    ['half a layer', { num_hidden_layers: 1.5 }, ['"num_hidden_layers"']],
    ['a size as text', { hidden_size: '64' }, ['"hidden_size"', '"64"']],
    ['a vocabulary beyond reason', { vocab_size: 1e12 }, ['"vocab_size"']],
    [
      'heads that do not divide the width',
      { num_attention_heads: 7 },
      ['"num_attention_heads"', 'hidden_size (64)'],
    ],
    ['key heads that do not divide the heads', { num_key_value_heads: 3 }, ['"num_key_value_heads"', '(8)']],
    ['an odd head', { head_dim: 7 }, ['"head_dim"']],
    [
      'scaled rotary positions',
      { rope_scaling: { rope_type: 'llama3', factor: 8 } },
      ['"rope_scaling"', '"llama3"'],
    ],
    [
      'scaled rotary positions, old name',
      { rope_scaling: { type: 'linear', factor: 2 } },
      ['"rope_scaling"', '"linear"'],
    ],
    [
      'scaled rotary positions, new place',
      { rope_parameters: { rope_type: 'yarn' } },
      ['"rope_parameters"', '"yarn"'],
    ],
    ['a rotary part', { partial_rotary_factor: 0.5 }, ['"partial_rotary_factor"']],
    ['another activation', { hidden_act: 'gelu' }, ['"hidden_act"', '"gelu"', 'silu']],
    ['tensor-parallel slices', { pretraining_tp: 4 }, ['"pretraining_tp"']],
    ['quantised weights', { quantization_config: { bits: 4 } }, ['"quantization_config"']],
    ['a sliding window', { sliding_window: 1024 }, ['"sliding_window"']],
    ['an epsilon of zero', { rms_norm_eps: 0 }, ['"rms_norm_eps"']],
    ['a token outside the vocabulary', { eos_token_id: 512 }, ['"eos_token_id"', '(512)']],
    ['a flag as text', { tie_word_embeddings: 'yes' }, ['"tie_word_embeddings"', '"yes"']],
  ];
  for (const [name, fields, parts] of refused) {
    it(`refuses ${name}`, () =>
      expectRefused(
        () => parseConfigText(JSON.stringify({ ...base, ...fields }), FILE, SUPPORTED),
        FILE,
        ...parts,
      ));
  }

  it('lets a window pass that is not used or not shorter than the context', () => {
    parseConfig({ ...base, sliding_window: 2048 }, FILE, SUPPORTED);
    parseConfig({ ...base, sliding_window: 16, use_sliding_window: false }, FILE, SUPPORTED);
  });

  it('names the line of a malformed file', () =>
    expectRefused(() => parseConfigText('{\n  "model_type": llama\n}', FILE, SUPPORTED), FILE, 'line 2'));
});
