import { expect } from 'chai';
import { filesOf, memoryFiles } from '../../src/io/files.ts';
import { writeSafetensors } from '../../src/io/safetensors.ts';
import { carriedFiles, openWeights, weightsFile } from '../../src/io/weights.ts';
import { tinyGguf } from '../support/gguf.ts';
import { expectRefused } from './refused.ts';

const file = (name: string) =>
  writeSafetensors(new Map([[name, { dtype: 'U8', shape: [1], data: Uint8Array.of(1) }]]));

describe('io/weights', () => {
  const SHARDS = {
    'model.safetensors.index.json': JSON.stringify({ weight_map: { sharded: 'shard.safetensors' } }),
    'shard.safetensors': file('sharded'),
  };
  const all = { 'model.safetensors': file('whole'), ...SHARDS, 'model.gguf': tinyGguf() };

  it('are read from the usual file if there are several', async () => {
    const names = async (files: Record<string, Uint8Array | string>) => [
      ...(await openWeights(memoryFiles(files))).keys(),
    ];
    expect(await names(all)).to.deep.equal(['whole']);
    expect(await names({ ...SHARDS, 'model.gguf': tinyGguf() })).to.deep.equal(['sharded']);
    expect(await names({ 'model.gguf': tinyGguf() })).to.include('token_embd.weight');
  });

  it('are searched under the usual name first, and under others only if it is missing', async () => {
    const asked: string[] = [];
    const has = (files: object) =>
      filesOf(
        'here',
        async () => undefined,
        async (path) => {
          asked.push(path);
          return path in files;
        },
      );
    expect(await weightsFile(has(all))).to.equal('model.safetensors');
    expect(asked).to.deep.equal(['model.safetensors']);
    expect(await weightsFile(has({}))).to.equal('model.safetensors');
    expect(asked.slice(1)).to.deep.equal(['model.safetensors', 'model.safetensors.index.json', 'model.gguf']);
  });

  it('reports that a pickle is not supported, and what is missing if there is nothing', async () => {
    await expectRefused(
      () => openWeights(memoryFiles({ 'pytorch_model.bin': new Uint8Array(3) }, 'm')),
      'm/model.safetensors',
      'pytorch_model.bin',
      'pickle',
    );
    await expectRefused(() => openWeights(memoryFiles({}, 'm')), 'm/model.safetensors', 'there is no file');
  });

  it('copies all files of the tokenizer to a derived model', async () => {
    const names = [
      'tokenizer.json',
      'added_tokens.json',
      'chat_template.jinja',
      'additional_chat_templates/rag.jinja',
    ];
    const files = memoryFiles(Object.fromEntries(['README.md', ...names].map((name) => [name, name])));
    expect(Object.keys(await carriedFiles(files))).to.have.members(names);
  });
});
