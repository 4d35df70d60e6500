import { expect } from 'chai';
import { Random } from '../../src/data/random.ts';
import { combineAdapters } from '../../src/io/combine-adapters.ts';
import { memoryFiles } from '../../src/io/files.ts';
import { toFloat32Bytes } from '../../src/io/float.ts';
import {
  ADAPTER_CONFIG,
  ADAPTER_WEIGHTS,
  type Adapter,
  checkAdapterFits,
  loraScale,
  readAdapter,
  writeAdapter,
} from '../../src/io/peft.ts';
import { parseSafetensors, type TensorToWrite, writeSafetensors } from '../../src/io/safetensors.ts';
import { resolveTargetModules } from '../../src/io/target-modules.ts';
import { expectRefused } from './refused.ts';

function random(length: number, seed: number): Float32Array {
  const from = new Random(seed);
  return Float32Array.from({ length }, () => from.normal());
}

function layer(r: number, width: number, out: number, seed: number) {
  return { a: random(r * width, seed), b: random(out * r, seed + 1), r, in: width, out };
}

const adapter: Adapter = {
  config: { r: 2, loraAlpha: 4, targetModules: ['v_proj', 'down_proj'], useRslora: true },
  baseModel: 'base/model',
  weights: new Map([
    ['model.layers.0.self_attn.v_proj', layer(2, 6, 4, 1)],
    ['model.layers.0.mlp.down_proj', layer(2, 8, 6, 3)],
  ]),
};
const written = writeAdapter(adapter);
const writtenConfig = JSON.parse(new TextDecoder().decode(written[ADAPTER_CONFIG]));

/** The adapter with its configuration changed. */
function withConfig(fields: Record<string, unknown>) {
  return memoryFiles(
    { ...written, [ADAPTER_CONFIG]: JSON.stringify({ ...writtenConfig, ...fields }) },
    'adapter',
  );
}

/** The adapter with its tensors changed. */
function withTensors(change: (tensors: Map<string, TensorToWrite>) => void) {
  const tensors = new Map<string, TensorToWrite>(parseSafetensors(written[ADAPTER_WEIGHTS], '').tensors);
  change(tensors);
  return memoryFiles({ ...written, [ADAPTER_WEIGHTS]: writeSafetensors(tensors) }, 'adapter');
}

const PREFIX = 'base_model.model.model.layers.0.self_attn.v_proj';

describe('io/peft', () => {
  it('reads what it writes', async () => {
    const read = await readAdapter(memoryFiles(written));
    expect(read.baseModel).to.equal('base/model');
    expect(read.config).to.deep.equal({ ...adapter.config, targetModules: ['down_proj', 'v_proj'] });
    expect([...read.weights].sort()).to.deep.equal([...adapter.weights].sort());
  });

  it('keeps the commit of a base model that has one', async () => {
    const of = async (given: Adapter) => readAdapter(memoryFiles(writeAdapter(given)));
    const found = await of({ ...adapter, baseRevision: 'c0ffee' });
    expect(found.baseRevision).to.equal('c0ffee');
    const [whole, half] = [found, await of(adapter)].map((part) => ({ adapter: part, factor: 1 }));
    expect(combineAdapters([whole, half])).to.include({ baseModel: 'base/model', baseRevision: 'c0ffee' });
    expect(await of(adapter)).to.not.have.property('baseRevision');
    expect(writtenConfig.revision).to.equal(null);
  });

  it('writes PEFT’s names, shapes and metadata', () => {
    const { metadata, tensors } = parseSafetensors(written[ADAPTER_WEIGHTS], 'adapter');
    expect(metadata).to.deep.equal({ format: 'pt' });
    expect(tensors.get(`${PREFIX}.lora_A.weight`)!.shape).to.deep.equal([2, 6]);
    expect(tensors.get(`${PREFIX}.lora_B.weight`)!.shape).to.deep.equal([4, 2]);
    expect(writtenConfig).to.include({
      peft_type: 'LORA',
      r: 2,
      lora_alpha: 4,
      base_model_name_or_path: 'base/model',
      task_type: 'CAUSAL_LM',
      bias: 'none',
      fan_in_fan_out: false,
      inference_mode: true,
      use_rslora: true,
      use_dora: false,
    });
    expect(writtenConfig.target_modules).to.deep.equal(['down_proj', 'v_proj']);
  });

  it('gives the same bytes for the same adapter, whatever the order of its layers', () => {
    expect(writeAdapter({ ...adapter, weights: new Map([...adapter.weights].reverse()) })).to.deep.equal(
      written,
    );
  });

  it('scales by α/r, rsLoRA by α/√r', () => {
    const plain = { ...adapter.config, useRslora: false };
    expect(loraScale(plain, { r: 2 })).to.equal(2);
    expect(loraScale(plain, { r: 4, alpha: 2 })).to.equal(0.5);
    expect(loraScale(adapter.config, { r: 2 })).to.equal(4 / Math.sqrt(2));
  });

  it('resolves target modules given as a pattern from the weights', async () => {
    const all = await readAdapter(withConfig({ target_modules: 'all-linear' }));
    expect(all.config.targetModules).to.have.members(['v_proj', 'down_proj']);
    // Short names would select the same layers of every block.
    for (const narrowed of [{ target_modules: '.*_proj' }, { layers_to_transform: [0] }]) {
      const { config, weights } = await readAdapter(withConfig(narrowed));
      expect(config.targetModules).to.deep.equal([...weights.keys()]);
    }
  });

  it('ignores target modules without weights, like PEFT', async () => {
    const { config } = await readAdapter(
      withConfig({ target_modules: ['v_proj', 'down_proj', 'gate_up_proj'] }),
    );
    expect(config.targetModules).to.deep.equal(['v_proj', 'down_proj']);
  });

  describe('reads tensors by all their names', () => {
    /** The adapter's file with every tensor under another name. */
    const renamed = (change: (name: string) => string) =>
      withTensors((tensors) => {
        for (const [name, tensor] of [...tensors]) {
          tensors.delete(name);
          tensors.set(change(name), tensor);
        }
      });
    const named = (adapterName: string) => (name: string) =>
      name.replace('.weight', `.${adapterName}.weight`);
    const forms: Record<string, (name: string) => string> = {
      'with the adapter’s name, which PEFT omits': named('default'),
      'with a custom adapter name': named('policy'),
      'without the prefix, which transformers omits': (name) => name.replace('base_model.model.', ''),
      'with an adapter name and without the prefix': (name) =>
        named('default')(name.replace('base_model.model.', '')),
    };
    for (const [form, change] of Object.entries(forms)) {
      it(form, async () => {
        const read = await readAdapter(renamed(change));
        expect([...read.weights]).to.deep.equal([...(await readAdapter(memoryFiles(written))).weights]);
      });
    }

    it('uses the default of several adapters, and rejects an ambiguous choice', async () => {
      const beside = (first: string, second: string) =>
        withTensors((tensors) => {
          for (const [name, tensor] of [...tensors]) {
            tensors.delete(name);
            tensors.set(named(first)(name), tensor);
            tensors.set(named(second)(name), { ...tensor, data: new Uint8Array(tensor.data.length) });
          }
        });
      const read = await readAdapter(beside('default', 'reference'));
      expect([...read.weights]).to.deep.equal([...(await readAdapter(memoryFiles(written))).weights]);
      await expectRefused(() => readAdapter(beside('a', 'b')), 'several adapters', '"a", "b"');
      const both = withTensors((tensors) => {
        for (const [name, tensor] of [...tensors]) tensors.set(named('default')(name), tensor);
      });
      await expectRefused(() => readAdapter(both), 'several adapters', 'one without a name');
    });
  });

  it('refuses weights of embeddings, of DoRA and of whole modules by their names', async () => {
    for (const odd of [
      'base_model.model.model.embed_tokens.lora_embedding_A',
      `${PREFIX}.lora_magnitude_vector`,
      'base_model.model.lm_head.weight',
      'base_model.model.lm_head.modules_to_save.default.weight',
      `${PREFIX}.lora_B.bias`,
    ]) {
      const one = { dtype: 'F32' as const, shape: [1], data: new Uint8Array(4) };
      await expectRefused(() => readAdapter(withTensors((t) => t.set(odd, one))), `"${odd}"`);
    }
  });

  // PEFT 0.21 reads all of these; merging one with LoRA on a tied head changes the embedding too, so its logits differ.
  it('refuses adapters of the head and the embedding, and names what helps', async () => {
    const one = { dtype: 'F32' as const, shape: [1], data: new Uint8Array(4) };
    const wayOut = ['without', 'merge it', 'unless head and embedding are tied'];
    for (const name of [
      'lm_head.lora_A.weight',
      'lm_head.base_layer.weight',
      'lm_head.weight',
      'model.embed_tokens.lora_embedding_B',
      'model.embed_tokens.weight',
    ]) {
      const odd = `base_model.model.${name}`;
      await expectRefused(() => readAdapter(withTensors((t) => t.set(odd, one))), `"${odd}"`, ...wayOut);
    }
    for (const modules_to_save of [['lm_head'], ['embed_tokens'], ['model.embed_tokens', 'lm_head']])
      await expectRefused(() => readAdapter(withConfig({ modules_to_save })), 'modules_to_save', ...wayOut);
    for (const target of ['lm_head', 'embed_tokens'])
      await expectRefused(
        () => resolveTargetModules([target], ['model.layers.0.mlp.up_proj']),
        `"${target}"`,
        'Supported modules: up_proj',
      );
  });

  it('names a pickle if there are no other weights', async () => {
    const files = { [ADAPTER_CONFIG]: written[ADAPTER_CONFIG], 'adapter_model.bin': new Uint8Array(4) };
    await expectRefused(() => readAdapter(memoryFiles(files, 'x')), 'adapter_model.bin', 'pickle', 'PEFT');
  });

  it('reads and writes ranks and alphas of single layers', async () => {
    const [first, second] = [...adapter.weights.keys()] as [string, string];
    const weights = new Map(adapter.weights)
      .set(first, { ...layer(3, 6, 4, 5), alpha: 7 })
      .set(second, { ...layer(2, 8, 6, 3), alpha: 4 });
    const files = writeAdapter({ ...adapter, weights });
    const config = JSON.parse(new TextDecoder().decode(files[ADAPTER_CONFIG]));
    expect(config).to.deep.include({ rank_pattern: { [first]: 3 }, alpha_pattern: { [first]: 7 } });
    const read = await readAdapter(memoryFiles(files));
    expect(read.weights.get(first)).to.deep.equal(weights.get(first));
    expect(read.weights.get(second)).to.not.have.property('alpha');

    const byEnd = { rank_pattern: { '.*v_proj': 3 }, alpha_pattern: { 'self_attn.v_proj': 9, proj: 1 } };
    const changed = { ...files, [ADAPTER_CONFIG]: JSON.stringify({ ...config, ...byEnd }) };
    const again = await readAdapter(memoryFiles(changed));
    expect([...again.weights.values()].map(({ r, alpha }) => [r, alpha])).to.deep.equal([
      [2, undefined],
      [3, 9],
    ]);

    const byPattern = { rank_pattern: { '.*v_proj': 3 }, alpha_pattern: { '^model.layers.0.*.v_proj': 9 } };
    const third = { ...files, [ADAPTER_CONFIG]: JSON.stringify({ ...config, ...byPattern }) };
    const patterned = await readAdapter(memoryFiles(third));
    expect([...patterned.weights.values()].map(({ alpha }) => alpha)).to.deep.equal([undefined, 9]);
  });

  const unsupported: [string, unknown][] = [
    ['peft_type', 'IA3'],
    ['bias', 'all'],
    ['use_dora', true],
    ['modules_to_save', ['lm_head']],
    ['alpha_pattern', { '(.*_)+proj': 3 }],
    ['lora_alpha', null],
    ['alpha_pattern', { v_proj: '3' }],
    ['rank_pattern', { v_proj: '3' }],
    ['rank_pattern', { v_proj: 2.5 }],
    ['lora_bias', true],
    ['init_lora_weights', 'pissa'],
    ['trainable_token_indices', [1]],
    ['layer_replication', [[0, 1]]],
  ];
  for (const [name, value] of unsupported) {
    it(`refuses ${name} by name`, () =>
      expectRefused(() => readAdapter(withConfig({ [name]: value })), 'adapter', `"${name}"`));
  }

  for (const name of ['alpha_pattern', 'rank_pattern']) {
    it(`rejects a number of ${name} beyond float32`, () => {
      const config = new TextDecoder().decode(written[ADAPTER_CONFIG]);
      const changed = { ...JSON.parse(config), [name]: { v_proj: 'HERE' } };
      const text = JSON.stringify(changed).replace('"HERE"', '1e999');
      return expectRefused(
        () => readAdapter(memoryFiles({ ...written, [ADAPTER_CONFIG]: text }, 'adapter')),
        'adapter',
        `"${name}"`,
      );
    });
  }

  it('refuses files that do not belong together', async () => {
    await expectRefused(() => readAdapter(withConfig({ r: 4 })), 'lora_A', '(2, 8) is not (4, in)', 'r = 4');
    await expectRefused(() => readAdapter(withConfig({ r: 0 })), '"r"');
    await expectRefused(
      () => readAdapter(withConfig({ target_modules: ['v_proj'] })),
      'model.layers.0.mlp.down_proj',
    );
    await expectRefused(() => readAdapter(withConfig({ target_modules: [3] })), '"target_modules"');
    await expectRefused(
      () => readAdapter(memoryFiles({ [ADAPTER_CONFIG]: written[ADAPTER_CONFIG] }, 'x')),
      ADAPTER_WEIGHTS,
    );
    await expectRefused(() => readAdapter(memoryFiles({}, 'x')), 'x/adapter_config.json');
  });

  it('refuses tensors that are missing, odd or of another kind, listing them', async () => {
    const f32 = (shape: number[]): TensorToWrite => ({
      dtype: 'F32',
      shape,
      data: toFloat32Bytes(new Float32Array(shape.reduce((a, b) => a * b, 1))),
    });
    await expectRefused(
      () => readAdapter(withTensors((t) => t.delete(`${PREFIX}.lora_B.weight`))),
      'v_proj has no lora_B',
    );
    await expectRefused(
      () => readAdapter(withTensors((t) => t.set('other', f32([1])).set('more', f32([1])))),
      '"other"',
      '"more"',
    );
    await expectRefused(
      () => readAdapter(withTensors((t) => t.set(`${PREFIX}.lora_B.weight`, f32([2, 4])))),
      '(2, 4) is not (out, 2)',
    );
    await expectRefused(
      () => readAdapter(withTensors((t) => t.set(`${PREFIX}.lora_B.weight`, f32([8])))),
      'lora_B',
    );
    await expectRefused(() => readAdapter(withTensors((t) => t.clear())), 'no LoRA weights');
  });

  it('lists everything that does not fit the model', async () => {
    const fits = new Map([
      ['model.layers.0.self_attn.v_proj', { in: 6, out: 4 }],
      ['model.layers.0.mlp.down_proj', { in: 8, out: 6 }],
    ]);
    checkAdapterFits(adapter, fits, 'adapter');
    const other = new Map([['model.layers.0.self_attn.v_proj', { in: 6, out: 8 }]]);
    await expectRefused(
      () => checkAdapterFits(adapter, other, 'adapter'),
      'v_proj is (4, 6), expected (8, 6)',
      'down_proj is not in the model',
      '"base/model"',
    );
  });

  it('matches target modules like PEFT and lists all unknown ones with the valid ones', async () => {
    const modules = [
      'model.layers.0.self_attn.q_proj',
      'model.layers.1.self_attn.q_proj',
      'model.layers.0.mlp.up_proj',
      'lm_head',
    ];
    expect(resolveTargetModules(['q_proj'], modules)).to.deep.equal(modules.slice(0, 2));
    expect(resolveTargetModules(['layers.1.self_attn.q_proj', 'up_proj'], modules)).to.deep.equal(
      modules.slice(1, 3),
    );
    expect(resolveTargetModules('all-linear', modules)).to.deep.equal(modules.slice(0, 3));
    expect(resolveTargetModules(['lm_head'], modules)).to.deep.equal(['lm_head']);
    await expectRefused(
      () => resolveTargetModules(['proj', 'q_proj', 'wq'], modules),
      '"proj", "wq"',
      'q_proj, up_proj, lm_head',
    );
    await expectRefused(() => resolveTargetModules([], modules), 'the list is empty');
  });
});
