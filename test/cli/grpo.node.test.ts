/**
 * `webalign grpo`: generates, scores and learns, stores its completions in a file, also when resumed, and refuses with the
 * reason.
 */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { lines, Workshop } from './workshop.ts';

const PROMPTS = ['the sky', 'the end', 'a same thing', 'blue blue', 'skying'].map((prompt) => ({ prompt }));
const SETTINGS = {
  '--reward': 'length',
  '--num-generations': '4',
  '--batch-size': '8',
  '--max-completion-length': '6',
  '--max-steps': '3',
  '--save-steps': '1',
  '--eval-split': '1',
  '--num-generations-eval': '2',
  '--learning-rate': '1e-2',
  '--lora-r': '4',
  '--loss': 'grpo',
  '--beta': '0.04',
};

describe('cli: grpo', function () {
  this.timeout(120_000);
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
    await workshop.write('prompts.jsonl', lines(PROMPTS));
  });
  after(() => workshop.close());

  const run = (out: string, more: Record<string, string> = {}, switches: string[] = []) => {
    const paths = { '--model': 'model', '--data': 'prompts.jsonl', '--out': out };
    const files = Object.entries(paths).flatMap(([flag, name]) => [flag, workshop.path(name)]);
    const flags = Object.entries({ ...SETTINGS, ...more }).flat();
    return workshop.run(['grpo', ...files, ...flags, ...switches, '--json']);
  };
  const log = async (out: string) => {
    const text = await readFile(workshop.path(`${out}/completions.jsonl`), 'utf8');
    return text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };

  it('trains with the given loss, and stores completions on request', async () => {
    const { code, json, stderr } = await run('whole', {}, ['--log-completions']);
    expect(code, stderr).to.equal(0);
    expect(json).to.include({ steps: 3, prompts: 4 });
    expect(json.eval).to.include.keys('kl', 'reward', 'objective');
    const kept = await log('whole');
    expect(kept).to.have.length(24);
    expect(kept[0]).to.have.all.keys('step', 'prompt', 'completion', 'rewards', 'reward', 'advantage');
    expect(kept.map(({ step }) => step)).to.deep.equal([1, 2, 3].flatMap((step) => new Array(8).fill(step)));
    const record = JSON.parse(await readFile(workshop.path('whole/run.json'), 'utf8'));
    expect(record.settings).to.include({ beta: 0.04, scaleRewards: 'group', klIn: 'loss' });
    expect(record.settings.lossType).to.deep.equal(['grpo']);
  });

  it('drops log lines of repeated steps, and truncated ones', async () => {
    const whole = await log('whole');
    const before = await readFile(workshop.path('whole/completions.jsonl'), 'utf8');
    await workshop.write(
      'whole/completions.jsonl',
      `${before}{"step": 4, "prompt": "lost"}\n{"step": 5, "pro`,
    );
    const { code, stderr } = await run('whole', {}, ['--log-completions', '--resume']);
    expect(code, stderr).to.equal(0);
    expect(await log('whole')).to.deep.equal(whole);
  });

  for (const [flag, value, words] of [
    ['--loss', 'dapoo', ['dapo']],
    ['--scale-rewards', 'all', ['group, batch, none']],
    ['--top-k', '5', ['whole distribution']],
    ['--entropy-coef', '0.1', ['gradient']],
    ['--kl-estimator', 'k3', ['would increase the KL']],
    ['--num-generations', '1', ['from 2']],
  ] as const) {
    it(`rejects ${flag} ${value}, with the reason`, async () => {
      const { code, stderr, stdout } = await run('refused', { [flag]: value });
      expect(code).to.be.above(0);
      for (const word of words) expect(stderr + stdout).to.include(word);
    });
  }
});
