/** Readers on files that transformers and PEFT wrote (test/fixtures), without any of our writers. */
import { expect } from 'chai';
import { parseConfig } from '../../src/io/config.ts';
import { memoryFiles } from '../../src/io/files.ts';
import { toFloat32 } from '../../src/io/float.ts';
import { ADAPTER_CONFIG, ADAPTER_WEIGHTS, readAdapter, writeAdapter } from '../../src/io/peft.ts';
import { parseSafetensors, writeSafetensors } from '../../src/io/safetensors.ts';
import adapterConfig from '../fixtures/tiny-llama/adapter/adapter_config.json' with { type: 'json' };
import adapterBytes from '../fixtures/tiny-llama/adapter/adapter_model.safetensors' with { type: 'bytes' };
import modelConfig from '../fixtures/tiny-llama/config.json' with { type: 'json' };
import modelBytes from '../fixtures/tiny-llama/model.safetensors' with { type: 'bytes' };

describe('io: files from other tools', () => {
  it('reads the configuration that transformers 5 wrote', () => {
    const config = parseConfig(modelConfig, 'config.json', { llama: {} });
    expect(config).to.include({
      hiddenSize: 32,
      headDim: 8,
      numKeyValueHeads: 2,
      normEps: 1e-5,
    });
    expect(config.layers).to.deep.equal(Array(3).fill({ window: undefined, rotary: { theta: 10000 } }));
    expect(config).to.deep.include({ eosTokenIds: [2], bosTokenId: 1, torchDtype: 'float32' });
  });

  it('reads the weights that transformers wrote, in the shapes of the configuration', () => {
    const { tensors } = parseSafetensors(modelBytes, 'model.safetensors');
    const { vocab_size, hidden_size, intermediate_size } = modelConfig;
    expect(tensors.get('model.embed_tokens.weight')!.shape).to.deep.equal([vocab_size, hidden_size]);
    expect(tensors.get('model.layers.2.mlp.down_proj.weight')!.shape).to.deep.equal([
      hidden_size,
      intermediate_size,
    ]);
    for (const tensor of tensors.values()) expect(toFloat32(tensor).every(Number.isFinite)).to.equal(true);
  });

  it('writes exactly the bytes of the Python package', () => {
    for (const bytes of [modelBytes, adapterBytes]) {
      const { tensors, metadata } = parseSafetensors(bytes, 'x');
      expect(writeSafetensors(tensors, metadata)).to.deep.equal(new Uint8Array(bytes));
    }
  });

  it('reads PEFT’s adapter and writes its weights back byte for byte', async () => {
    const files = { [ADAPTER_WEIGHTS]: adapterBytes, [ADAPTER_CONFIG]: JSON.stringify(adapterConfig) };
    const adapter = await readAdapter(memoryFiles(files, 'adapter'));
    expect(adapter.config).to.deep.equal({
      r: adapterConfig.r,
      loraAlpha: adapterConfig.lora_alpha,
      targetModules: adapterConfig.target_modules,
      useRslora: adapterConfig.use_rslora,
    });
    const written = writeAdapter(adapter);
    expect(written[ADAPTER_WEIGHTS]).to.deep.equal(new Uint8Array(adapterBytes));
    for (const [name, value] of Object.entries(
      JSON.parse(new TextDecoder().decode(written[ADAPTER_CONFIG])),
    )) {
      const theirs = adapterConfig[name as keyof typeof adapterConfig];
      if (name === 'target_modules') expect(value).to.have.members(theirs as string[]);
      else if (name === 'base_model_name_or_path') expect(value).to.equal(theirs ?? '');
      else expect(value, name).to.deep.equal(theirs);
    }
  });
});
