/** `webalign online-dpo` and `webalign a2po`: what they write and print, how they resume, and what they refuse. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { lines, Workshop } from './workshop.ts';

const PROMPTS = ['the sky', 'the end', 'a same thing', 'blue blue', 'skying', 'the sky is blue'].map(
  (prompt) => ({ prompt }),
);
const SETTINGS = {
  '--reward': 'length',
  '--batch-size': '4',
  '--max-completion-length': '6',
  '--max-steps': '2',
  '--save-steps': '1',
  '--eval-split': '2',
  '--num-generations-eval': '2',
  '--learning-rate': '1e-2',
  // As wide as the model's own products, so that both use the same pipelines.
  '--lora-r': '16',
};

describe('cli: online-dpo and a2po', function () {
  this.timeout(120_000);
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
    await workshop.write('prompts.jsonl', lines(PROMPTS));
  });
  after(() => workshop.close());

  const run = (method: string, out: string, more: Record<string, string> = {}) => {
    const flags = Object.entries({ ...SETTINGS, ...more }).flatMap(([flag, value]) =>
      value === '' ? [flag] : [flag, value],
    );
    const paths = ['--model', workshop.path('model'), '--data', workshop.path('prompts.jsonl')];
    return workshop.run([method, ...paths, '--out', workshop.path(out), ...flags]);
  };
  const adapter = (out: string) => readFile(workshop.path(`${out}/adapter_model.safetensors`));

  const METHODS: [method: string, own: Record<string, string>, settings: Record<string, unknown>][] = [
    [
      'online-dpo',
      { '--labels': 'sampled', '--temperature': '1' },
      { labels: 'sampled', beta: 0.1, lossType: 'sigmoid', maxCompletionLength: 6, temperature: 1 },
    ],
    [
      'a2po',
      { '--num-value-samples': '2', '--beta1': '1' },
      { beta1: 1, beta2: 1e-3, numValueSamples: 2, filterAllIncorrect: true },
    ],
  ];
  for (const [method, own, settings] of METHODS) {
    it(`${method}: generates, rates, learns, and reports the result`, async () => {
      const { code, json, stderr } = await run(method, method, own);
      expect(code, stderr).to.equal(0);
      expect(json).to.include({ steps: 2, prompts: 4 });
      expect(json.reward).to.have.all.keys('first', 'last');
      expect(json.eval).to.have.all.keys('kl', 'reward', 'objective', 'standardErrors');
      const record = JSON.parse(await readFile(workshop.path(`${method}/run.json`), 'utf8'));
      expect(record).to.deep.include({ method, rewards: ['length'] });
      expect(record.settings).to.include(settings);
      expect((await adapter(method)).length).to.be.above(0);
    });
  }

  it('online-dpo supports the losses of TRL, and rejects others and groups', async () => {
    const loss = await run('online-dpo', 'refused', { '--loss': 'hinge' });
    expect(loss.code).to.be.above(0);
    expect(loss.stderr).to.include('hinge').and.include('sigmoid, ipo');
    const groups = await run('online-dpo', 'refused', { '--num-generations': '4' });
    expect(groups.code).to.be.above(0);
    expect(groups.stderr).to.include('--num-generations');
    const penalty = await run('online-dpo', 'refused', { '--missing-eos-penalty': '-1' });
    expect(penalty.stderr).to.include('--missing-eos-penalty is -1');
  });
});
