/** Configurations as published models word them, by every row whose file says more than Llama's; and what such a row refuses. */
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

  it('SmolLM3: layers without positions, as listed or each n-th', async () => {
    const turns = (fields: Record<string, unknown>) =>
      parse('smollm3', fields).layers.map(({ rotary }) => rotary?.theta ?? 0);
    const theta = 5e6;
    expect(turns({})).to.deep.equal([2e6, 2e6, 2e6, 0]);
    const published = { rope_theta: theta, no_rope_layer_interval: 4, pretraining_tp: 2 };
    expect(turns({ ...published, no_rope_layers: [1, 0, 1, 1, 1] })).to.deep.equal([theta, 0, theta, theta]);
    expect(turns({ ...published, no_rope_layer_interval: 2 })).to.deep.equal([theta, 0, theta, 0]);
    // Windows are where positions are not, if the file does not list its layers.
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
});
