/** `webalign ppo`: what it writes and prints, how it resumes, and what it refuses. What it shares with rloo is tested there. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { lines, Workshop } from './workshop.ts';

const PROMPTS = ['the sky', 'the end', 'a same thing', 'blue blue', 'skying', 'the sky is blue'];

describe('cli: ppo', function () {
  this.timeout(120_000);
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
    await workshop.write('prompts.jsonl', lines(PROMPTS.map((prompt) => ({ prompt }))));
  });
  after(() => workshop.close());

  const run = (out: string, ...more: string[]) =>
    workshop.run([
      'ppo',
      ...[
        '--model',
        workshop.path('model'),
        '--data',
        workshop.path('prompts.jsonl'),
        '--out',
        workshop.path(out),
      ],
      ...[
        '--reward',
        'length',
        '--batch-size',
        '4',
        '--response-length',
        '6',
        '--max-steps',
        '4',
        '--lora-r',
        '4',
      ],
      ...[
        '--num-ppo-epochs',
        '2',
        '--eval-split',
        '2',
        '--num-generations-eval',
        '2',
        '--learning-rate',
        '1e-2',
      ],
      ...more,
      '--json',
    ]);

  it('generates, rates, learns, and reports the result', async () => {
    const { code, json, stderr } = await run('whole');
    expect(code, stderr).to.equal(0);
    expect(json).to.include({ steps: 4, prompts: 4 });
    expect(json.eval).to.have.all.keys('kl', 'reward', 'objective', 'standardErrors');
    const record = JSON.parse(await readFile(workshop.path('whole/run.json'), 'utf8'));
    expect(record).to.deep.include({ method: 'ppo', rewards: ['length'] });
    expect(record.settings).to.include({ klCoef: 0.05, lam: 0.95, maxCompletionLength: 6 });
    const adapter = await readFile(workshop.path('whole/adapter_model.safetensors'));
    // The value model is trained in addition and is not part of the policy.
    expect(adapter.toString('latin1')).to.not.include('value.');
  });

  it('rejects an estimator with a wrong gradient, and minibatches that do not divide', async () => {
    for (const [flag, value, word] of [
      ['--kl-estimator', 'k3', 'k1'],
      ['--num-mini-batches', '3', '--num-mini-batches'],
    ] as const) {
      const { code, stderr, stdout } = await run('refused', flag, value);
      expect(code).to.be.above(0);
      expect(stderr + stdout).to.include(word);
    }
  });
});
