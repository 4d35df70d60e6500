/** Weights between files and the decoder: GPT-2's other names and layouts are converted and converted back unchanged. */
import { expect } from 'chai';
import { memoryFiles } from '../../src/io/files.ts';
import { readAdapter, writeAdapter } from '../../src/io/peft.ts';
import {
  parseSafetensors,
  type TensorSource,
  type TensorToWrite,
  writeSafetensors,
} from '../../src/io/safetensors.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import { describeModel } from '../../src/model/description.ts';
import { mergedModelFiles } from '../../src/model/merged-model.ts';
import { fromFiles } from '../../src/model/stored-layout.ts';
import gpt2 from '../fixtures/architectures/gpt2.json' with { type: 'json' };
import { expectRefused } from '../io/refused.ts';
import { relativeL2 } from '../reference/compare.ts';
import { tinyLlama } from '../reference/fixtures.ts';
import { COARSE_PASS } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';
import { filesOf, lastLogits } from './tiny.ts';

const decoded = (base64: string) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
const stored = () => parseSafetensors(decoded(gpt2.weights), 'model.safetensors').tensors;

async function load(model: Uint8Array, config: object = gpt2.config): Promise<CausalLM> {
  const files = {
    'config.json': new TextEncoder().encode(JSON.stringify(config)),
    'model.safetensors': model,
  };
  return CausalLM.load(await testGpu(), memoryFiles(files, 'gpt2'), { trainable: true });
}

describe('model/weights', () => {
  it('writes trained weights in the layout of the file', async () => {
    const model = await load(decoded(gpt2.weights));
    const written = await model.trainedWeights();
    for (const [name, tensor] of stored()) {
      expect(written.get(name)?.shape, name).to.deep.equal(tensor.shape);
      expect(written.get(name)?.data, name).to.deep.equal(new Uint8Array(tensor.data));
    }
    expect(written.size).to.equal(stored().size);
    model.dispose();
  });

  it('transposes linear weights, and no other square ones', async () => {
    const read = async () => Uint8Array.of(1, 2, 3, 4);
    const square: TensorSource = { dtype: 'U8', shape: [2, 2], where: 'square', read };
    const tensors = new Map([
      ['transformer.h.1.mlp.c_proj.weight', square],
      ['transformer.wpe.weight', square],
    ]);
    const files = memoryFiles({ 'config.json': JSON.stringify(gpt2.config) });
    const [linear, table] = fromFiles(await describeModel(files), tensors, tensors).values();
    expect([...(await linear.read())]).to.deep.equal([1, 3, 2, 4]);
    expect([...(await table.read())]).to.deep.equal([1, 2, 3, 4]);
  });

  it('reads files that omit the prefix', async () => {
    const bare = [...stored()].map(([name, tensor]) => [name.replace('transformer.', ''), tensor] as const);
    const model = await load(writeSafetensors(new Map(bare), {}));
    expect([...(await model.trainedWeights()).keys()].sort()).to.deep.equal([...stored().keys()].sort());
    model.dispose();
  });

  it('gives a name of the model the prefix unless the file has that name too', async () => {
    const tensor: TensorSource = { dtype: 'U8', shape: [1], where: 'x', read: async () => Uint8Array.of(1) };
    const names = [
      'norm.weight',
      'layers.0.mlp.up_proj.weight',
      'model.embed_tokens.weight',
      'lm_head.weight',
    ];
    const named = async (...more: string[]) => {
      const tensors = new Map([...names, ...more].map((name) => [name, tensor]));
      return [...fromFiles(await describeModel(filesOf(tinyLlama)), tensors, tensors).keys()];
    };
    const whole = ['model.norm.weight', 'model.layers.0.mlp.up_proj.weight', ...names.slice(2)];
    expect(await named()).to.deep.equal(whole);
    expect(await named('model.norm.weight')).to.deep.equal([
      'norm.weight',
      ...whole.slice(1),
      'model.norm.weight',
    ]);
  });

  it('lists a bias that is missing', async () => {
    const without = new Map(stored());
    without.delete('transformer.h.1.attn.c_attn.bias');
    const file = writeSafetensors(without, {});
    await expectRefused(() => load(file), 'transformer.h.1.attn.c_attn.bias is missing');
  });

  it('requires a head if the configuration does not tie it, and rejects a separate one if it does', async () => {
    const head = (tensor: TensorToWrite) =>
      writeSafetensors(new Map<string, TensorToWrite>([...stored(), ['lm_head.weight', tensor]]));
    const embedding = stored().get('transformer.wte.weight')!;
    const another = { ...embedding, data: embedding.data.map((byte, i) => (i === 0 ? byte ^ 1 : byte)) };
    (await load(head(embedding))).dispose();
    await expectRefused(() => load(head(another)), 'lm_head.weight', '"tie_word_embeddings": false');

    const untied = { ...gpt2.config, tie_word_embeddings: false };
    (await load(head(another), untied)).dispose();
    await expectRefused(
      () => load(decoded(gpt2.weights), untied),
      'lm_head.weight is missing',
      '"tie_word_embeddings": true',
    );
  });

  it('reads a tied embedding that is stored under the name of the head alone', async () => {
    const name = 'transformer.wte.weight';
    const renamed = [...stored()].map(
      ([each, tensor]) => [each === name ? 'lm_head.weight' : each, tensor] as const,
    );
    const file = writeSafetensors(new Map(renamed));
    const model = await load(file);
    expect((await model.trainedWeights()).get(name)?.data).to.deep.equal(
      new Uint8Array(stored().get(name)!.data),
    );
    model.dispose();
    await expectRefused(
      () => load(file, { ...gpt2.config, tie_word_embeddings: false }),
      `${name} is missing`,
    );
  });

  it('merges an adapter and keeps the layout of the weights', async () => {
    const files = {
      'config.json': JSON.stringify(gpt2.config),
      'model.safetensors': decoded(gpt2.weights),
      'adapter_config.json': JSON.stringify(gpt2.adapterConfig),
      'adapter_model.safetensors': decoded(gpt2.adapterWeights),
    };
    const adapter = await readAdapter(memoryFiles(files, 'adapter'));
    const merged = await mergedModelFiles(memoryFiles(files, 'gpt2'), [{ adapter, factor: 1 }]);
    const { tensors } = parseSafetensors(
      merged['model.safetensors'] as Uint8Array<ArrayBuffer>,
      'model.safetensors',
    );
    for (const [name, { shape }] of stored()) expect(tensors.get(name)?.shape, name).to.deep.equal(shape);

    const model = await load(decoded(gpt2.weights));
    model.attach(adapter);
    const one = await load(merged['model.safetensors']);
    const [[expected], [found]] = await Promise.all(
      [model, one].map((each) => lastLogits(each.gpu, each, gpt2.sequences.slice(0, 1))),
    );
    // The sums are rounded to float32 once more.
    expect(relativeL2(found, expected)).to.be.below(1e-5 + COARSE_PASS);
    for (const each of [model, one]) each.dispose();
  });

  it('tells PEFT that the weights beneath an adapter are stored (in, out)', async () => {
    const files = {
      'adapter_config.json': JSON.stringify({ ...gpt2.adapterConfig, fan_in_fan_out: false }),
      'adapter_model.safetensors': decoded(gpt2.adapterWeights),
    };
    const model = await load(decoded(gpt2.weights));
    const attached = model.attach(await readAdapter(memoryFiles(files, 'adapter')));
    const config = writeAdapter(await attached.toAdapter())['adapter_config.json'];
    expect(JSON.parse(new TextDecoder().decode(config))).to.include({ fan_in_fan_out: true });
    model.dispose();
  });
});
