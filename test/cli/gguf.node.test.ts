/** GGUF on the command line: a model is written as GGUF, scored, trained on, and exported again. */
import { copyFile, readdir } from 'node:fs/promises';
import { expect } from 'chai';
import { GgufMetadata } from '../../src/io/gguf/metadata.ts';
import { ggufTokenizer } from '../../src/io/gguf/tokenizer.ts';
import { relativeL2 } from '../reference/compare.ts';
import { tinyLlama } from '../reference/fixtures.ts';
import { readFixture } from '../support/files.ts';
import { BYTE_TOKENIZER, ggufMetadata } from '../support/gguf.ts';
import { lines, Workshop } from './workshop.ts';

describe('cli: gguf', () => {
  let workshop: Workshop;
  let adapter: string;
  before(async () => {
    workshop = await Workshop.open();
    adapter = workshop.path('adapter');
    for (const name of ['adapter_config.json', 'adapter_model.safetensors'])
      await workshop.write(`adapter/${name}`, await readFixture(`tiny-llama/adapter/${name}`));
    const { tokenizer, config } = ggufTokenizer(new GgufMetadata(ggufMetadata(BYTE_TOKENIZER), 'tokenizer'))!;
    await workshop.model('merging', {
      'tokenizer.json': JSON.stringify(tokenizer),
      'tokenizer_config.json': JSON.stringify(config),
    });
    await workshop.write('texts.jsonl', lines(tinyLlama.reference.sequences.map((ids) => ({ ids }))));
    await workshop.write('few.jsonl', lines([{ prompt: 'ab', chosen: ' abc', rejected: ' b' }]));
  });
  after(() => workshop.close());

  const exported = (format: string, model: string, out: string, ...more: string[]) =>
    workshop.run([
      ...['export', '--format', format, '--model', workshop.path(model), '--adapter', adapter],
      ...['--out', workshop.path(out), ...more],
    ]);

  async function logprobs(model: string): Promise<number[]> {
    const input = workshop.path('texts.jsonl');
    const scored = await workshop.run(['logprobs', '--model', workshop.path(model), '--input', input]);
    expect(scored.code, scored.stderr).to.equal(0);
    return (scored.json.results as { logprobs: number[] }[]).flatMap((row) => row.logprobs);
  }

  it("merged-gguf: one file, accepted as a model by its name and by its folder's", async () => {
    const { code, json, stderr } = await exported('merged-gguf', 'merging', 'whole');
    expect(code, stderr).to.equal(0);
    expect(json).to.deep.include({ format: 'merged-gguf', files: ['model.gguf'] });
    expect(await readdir(workshop.path('whole'))).to.deep.equal(['model.gguf']);
    const found = await logprobs('whole/model.gguf');
    // Weights in half precision.
    expect(relativeL2(found, tinyLlama.reference.lora.logprobs.flat())).to.be.within(1e-6, 2e-3);
    expect(await logprobs('whole')).to.deep.equal(found);
    const again = await exported('merged-gguf', 'merging', 'whole');
    expect(again.error.message).to.include('model.gguf').and.include('--overwrite');
    await copyFile(workshop.path('whole/model.gguf'), workshop.path('whole/other.gguf'));
    const input = workshop.path('texts.jsonl');
    const both = await workshop.run(['logprobs', '--model', workshop.path('whole'), '--input', input]);
    expect(both.error.message).to.include('model.gguf, other.gguf');
  });

  it('is trained on, and exported in other forms: as a folder, and as GGUF with another adapter', async () => {
    const model = workshop.path('whole/model.gguf');
    const options = { '--model': model, '--data': workshop.path('few.jsonl'), '--out': workshop.path('run') };
    const run = await workshop.run(workshop.dpo({ ...options, '--max-steps': '1', '--eval-split': '0' }));
    expect(run.code, run.stderr).to.equal(0);
    for (const [format, out] of [
      ['merged', 'folder'],
      ['merged-gguf', 'twice'],
    ] as const) {
      const { code, stderr } = await exported(format, 'whole/model.gguf', out);
      expect(code, stderr).to.equal(0);
    }
    expect((await readdir(workshop.path('folder'))).sort()).to.deep.equal([
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    expect(relativeL2(await logprobs('folder'), await logprobs('twice/model.gguf'))).to.be.below(1e-6);
    const trl = await workshop.run([
      ...['export', '--format', 'trl', '--adapter', workshop.path('run'), '--out', workshop.path('trl')],
    ]);
    expect(trl.error.message).to.include('model.gguf').and.include('TRL cannot train GGUF');
  });
});
