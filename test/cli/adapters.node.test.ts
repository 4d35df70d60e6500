/** An adapter that there is already: trained on by every method's command, handed over with its run, and told of where it belongs elsewhere. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { readAdapter } from '../../src/io/peft.ts';
import { folderFiles } from '../../src/node/folder.ts';
import gpt2 from '../fixtures/architectures/gpt2.json' with { type: 'json' };
import { relativeL2 } from '../reference/compare.ts';
import { readFixture } from '../support/files.ts';
import { lines, Workshop } from './workshop.ts';

describe('cli: adapters', () => {
  let workshop: Workshop;
  let adapter: string;
  before(async () => {
    workshop = await Workshop.open();
    adapter = workshop.path('adapter');
    for (const name of ['adapter_config.json', 'adapter_model.safetensors']) {
      await workshop.write(`adapter/${name}`, await readFixture(`tiny-llama/adapter/${name}`));
    }
  });
  after(() => workshop.close());

  const train = (method: string, out: string, ...more: string[]) => {
    const usual = {
      '--model': workshop.path('model'),
      '--data': workshop.path('pairs.jsonl'),
      '--out': workshop.path(out),
    };
    const left = Object.entries(usual).filter(([flag]) => !more.includes(flag));
    return workshop.run([method, ...left.flat(), '--max-steps', '2', '--batch-size', '4', ...more]);
  };
  const weightsOf = async (folder: string) => {
    const { config, weights } = await readAdapter(folderFiles(folder));
    return { config, values: [...weights.values()].flatMap(({ a, b }) => [...a, ...b]) };
  };

  it('--init-adapter: dpo continues the adapter, which is also its reference', async () => {
    const { code, json, stderr } = await train(
      'dpo',
      'on',
      '--init-adapter',
      adapter,
      '--learning-rate',
      '1e-3',
    );
    expect(code, stderr).to.equal(0);
    expect((json.loss as { first: number }).first).to.be.closeTo(Math.LN2, 1e-6);
    const [start, end] = [await weightsOf(adapter), await weightsOf(workshop.path('on'))];
    expect(end.config).to.deep.equal({
      ...start.config,
      targetModules: [...start.config.targetModules].sort(),
    });
    // Two steps of AdamW at 1e-3, and at half of it: all have moved, and none far.
    const moved = end.values.map((value, i) => Math.abs(value - start.values[i]));
    expect(Math.max(...moved)).to.be.within(1e-4, 2e-3);
    expect(JSON.parse(await readFile(workshop.path('on/run.json'), 'utf8'))).to.include({
      initAdapter: adapter,
    });

    const out = workshop.path('trl');
    const exported = await workshop.run([
      ...['export', '--format', 'trl', '--adapter', workshop.path('on'), '--token-ids', '--out', out],
    ]);
    expect(exported.code, exported.stderr).to.equal(0);
    expect(exported.stderr).to.include(`cd ${out} && accelerate launch train.py`);
    expect((await weightsOf(`${out}/start`)).values).to.deep.equal(start.values);
    expect((await weightsOf(`${out}/trained`)).values).to.deep.equal(end.values);
    const [first] = (await readFile(`${out}/train.ids.jsonl`, 'utf8')).split('\n');
    expect(JSON.parse(first)).to.have.all.keys('prompt_ids', 'chosen_ids', 'rejected_ids');
    expect(await readFile(`${out}/train.py`, 'utf8')).to.include('trainer.train_dataset = rows(');
  });

  it('--init-adapter: sft continues the adapter too', async () => {
    const rows = lines([{ text: 'the sky is blue' }, { text: 'the end' }]);
    const data = await workshop.write('texts.jsonl', rows);
    const fresh = await train('sft', 'fresh', '--data', data, '--eval-split', '0');
    const on = await train('sft', 'sft', '--data', data, '--eval-split', '0', '--init-adapter', adapter);
    expect(on.code, on.stderr).to.equal(0);
    const losses = [fresh, on].map(({ json }) => (json.loss as { first: number }).first);
    expect(Math.abs(losses[0] - losses[1])).to.be.above(0.01);
    const [start, end] = [await weightsOf(adapter), await weightsOf(workshop.path('sft'))];
    expect(relativeL2(end.values, start.values)).to.be.within(1e-6, 1e-1);
  });

  it('--init-adapter is rejected with contradicting options', async () => {
    const elsewhere = await workshop.model('elsewhere', {
      'config.json': JSON.stringify(gpt2.config),
      'model.safetensors': Buffer.from(gpt2.weights, 'base64'),
    });
    const refused: [string[], number, ...string[]][] = [
      [['--lora-r', '8', '--use-rslora'], 2, '--lora-r, --use-rslora'],
      [['--full'], 2, '--full'],
      [['--out', adapter, '--overwrite'], 2, '--out is the folder of --init-adapter'],
      [['--model', elsewhere], 1, adapter, 'q_proj is not in the model', 'tiny-llama'],
      [['--init-adapter', workshop.path('none')], 1, 'none/adapter_config.json'],
    ];
    for (const [more, expected, ...parts] of refused) {
      const given = more.includes('--init-adapter') ? more : ['--init-adapter', adapter, ...more];
      const { code, error } = await train('dpo', 'never', ...given);
      expect(code, error.message).to.equal(expected);
      for (const part of parts) expect(error.message).to.include(part);
    }
  });

  it('reports a folder that contains an adapter but no model, or both', async () => {
    const config = new TextEncoder().encode('{}');
    const both = await workshop.model('both', { 'adapter_config.json': config });
    const prompt = ['--prompt', 'once', '--max-tokens', '1'];
    const { code, stderr } = await workshop.run(['generate', '--model', both, ...prompt]);
    expect(code, stderr).to.equal(0);
    expect(stderr).to.include('both also contains an adapter. transformers would apply it');
    const alone = await workshop.model('alone', { 'adapter_config.json': config, 'config.json': undefined });
    const refused = await workshop.run(['generate', '--model', alone, ...prompt]);
    expect(refused.error.message).to.include('contains an adapter but no model').and.include('--adapter');
  });

  it('an adapter with another base name is used, with a notice', async () => {
    const input = await workshop.write('one.jsonl', lines([{ ids: [1, 5, 9] }]));
    const score = (model: string) =>
      workshop.run(['logprobs', '--model', model, '--adapter', adapter, '--input', input]);
    const { code, stderr } = await score(workshop.path('model'));
    expect(code, stderr).to.equal(0);
    expect(stderr).to.include(`${adapter} was trained on "tiny-llama"`);
    const named = await score(await workshop.model('tiny-llama'));
    expect(named.code, named.stderr).to.equal(0);
    expect(named.stderr).to.not.include('was trained on');
  });
});
