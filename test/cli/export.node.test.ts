/** `webalign export`: each form is written whole and can be used, and what cannot be done is said before anything is. */
import { readdir } from 'node:fs/promises';
import { expect } from 'chai';
import { type Adapter, readAdapter } from '../../src/io/peft.ts';
import { folderFiles } from '../../src/node/folder.ts';
import { relativeL2 } from '../reference/compare.ts';
import { tinyLlama, tinyLlamaTied } from '../reference/fixtures.ts';
import { readFixture } from '../support/files.ts';
import { lines, Workshop } from './workshop.ts';

describe('cli: export', () => {
  let workshop: Workshop;
  let model: string;
  let adapter: string;
  before(async () => {
    workshop = await Workshop.open();
    model = workshop.path('model');
    adapter = workshop.path('adapter');
    for (const name of ['adapter_config.json', 'adapter_model.safetensors']) {
      await workshop.write(`adapter/${name}`, await readFixture(`tiny-llama/adapter/${name}`));
    }
  });
  after(() => workshop.close());

  const exported = (format: string, out: string, ...more: string[]) =>
    workshop.run(['export', '--format', format, '--adapter', adapter, '--out', workshop.path(out), ...more]);

  it('peft: a single adapter as it is, several as one', async () => {
    const one = await exported('peft', 'one');
    expect(one.code, one.stderr).to.equal(0);
    const [written, given] = await Promise.all(
      [workshop.path('one'), adapter].map((folder) => readAdapter(folderFiles(folder))),
    );
    expect(written?.config).to.include({ r: 4, loraAlpha: 8 });
    expect(relativeL2(bOf(written!), bOf(given!))).to.equal(0);
    const two = await exported('peft', 'two', '--adapter', adapter, '--q', '0.5');
    expect(two.json).to.deep.include({ format: 'peft', r: 8, q: 0.5 });
    expect((await readAdapter(folderFiles(workshop.path('two')))).config.r).to.equal(8);
  });

  it('merged: a folder that every command takes for a model', async () => {
    const { code, json, stderr } = await exported('merged', 'whole', '--model', model);
    expect(code, stderr).to.equal(0);
    const files = ['tokenizer.json', 'tokenizer_config.json', 'model.safetensors', 'config.json'];
    expect(json).to.deep.include({ format: 'merged', files });
    expect((await readdir(workshop.path('whole'))).sort()).to.deep.equal(files.sort());

    const { sequences, lora } = tinyLlama.reference;
    const input = await workshop.write('ids.jsonl', lines(sequences.map((ids) => ({ ids }))));
    const scored = await workshop.run(['logprobs', '--model', workshop.path('whole'), '--input', input]);
    const results = scored.json.results as { logprobs: number[] }[];
    expect(
      relativeL2(
        results.flatMap(({ logprobs }) => logprobs),
        lora.logprobs.flat(),
      ),
    ).to.be.below(1e-5);
  });

  it('gguf: one file', async () => {
    const { code, json, stderr } = await exported('gguf', 'llama', '--model', model);
    expect(code, stderr).to.equal(0);
    expect(json).to.deep.include({ format: 'gguf', files: ['adapter.gguf'], r: 4 });
    expect(await readdir(workshop.path('llama'))).to.deep.equal(['adapter.gguf']);
    const again = await exported('gguf', 'llama', '--model', model);
    expect(again.error.message).to.include('adapter.gguf').and.include('--overwrite');
  });

  it('says what is wrong and the way out, and writes nothing', async () => {
    const other = await workshop.model('other', {}, tinyLlamaTied);
    const half = await workshop.model('half', { 'model.safetensors': undefined });
    const refused: [string, string[], ...string[]][] = [
      ['onnx', [], '"onnx"', 'peft, merged, gguf'],
      ['merged', [], 'needs --model'],
      ['gguf', [], 'needs --model'],
      ['merged', ['--model', other], adapter, 'q_proj is (32, 32)', 'tiny-llama'],
      ['gguf', ['--model', other], adapter, 'is not in the model'],
      ['merged', ['--model', half], 'half/model.safetensors'],
      ['merged', ['--model', workshop.path('none')], 'none/config.json', 'Check the folder'],
      ['peft', ['--q', '2'], 'q'],
    ];
    for (const [format, more, ...parts] of refused) {
      const { code, error } = await exported(format, 'never', ...more);
      expect(code, error.message).to.be.oneOf([1, 2]);
      for (const part of parts) expect(error.message).to.include(part);
    }
    expect(await readdir(workshop.folder)).to.not.include('never');
    const over = await exported('merged', 'model', '--model', model, '--overwrite');
    expect(over.error.message).to.include('--out is the folder of --model');
  });
});

function bOf({ weights }: Adapter): number[] {
  return [...weights.values()].flatMap(({ b }) => [...b]);
}
