/** `webalign rloo`: rewards by name and from files, what it writes and prints, how it resumes, and what it refuses. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { lines, Workshop } from './workshop.ts';

const PROMPTS = ['the sky', 'the end', 'a same thing', 'blue blue', 'skying', 'the sky is blue'].map(
  (prompt, i) => ({
    prompt,
    topic: `t${i}`,
  }),
);
const SETTINGS = {
  '--num-generations': '4',
  '--batch-size': '8',
  '--max-completion-length': '6',
  '--max-steps': '3',
  '--save-steps': '1',
  '--eval-split': '2',
  '--num-generations-eval': '2',
  '--learning-rate': '1e-2',
  '--lora-r': '4',
};

interface Route {
  estimate: number;
  corrected: number;
}
/** `eval` of the JSON. */
interface Held {
  optimalityGap?: number;
  optimalityGapCorrected?: number;
  lowerBound?: boolean;
  effectiveSamples?: number;
  optimum?: { policy: Route; reference?: Route };
  standardErrors: Record<string, number>;
}

describe('cli: rloo', function () {
  this.timeout(120_000);
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
    await workshop.write('prompts.jsonl', lines(PROMPTS));
    await workshop.write(
      'reward.mjs',
      'export default function topical({ completionIds, columns }) {\n' +
        '  return completionIds.map((ids, i) => ids.reduce((a, b) => a + b) + Number(columns.topic[i].slice(1)));\n}\n',
    );
  });
  after(() => workshop.close());

  const run = (out: string, more: Record<string, string> = {}) => {
    const all = { ...SETTINGS, '--reward': 'length', ...more };
    const flags = Object.entries(all).flat();
    const paths = [
      '--model',
      workshop.path('model'),
      '--data',
      workshop.path('prompts.jsonl'),
      '--out',
      workshop.path(out),
    ];
    return workshop.run(['rloo', ...paths, ...flags, '--json']);
  };
  const adapter = (out: string) => readFile(workshop.path(`${out}/adapter_model.safetensors`));

  it('generates, rates, learns, and reports the result', async () => {
    const { code, json, stderr } = await run('whole');
    expect(code, stderr).to.equal(0);
    expect(json).to.include({ steps: 3, prompts: 4 });
    expect(json.reward).to.have.all.keys('first', 'last');
    expect(json.eval).to.have.all.keys('kl', 'reward', 'objective', 'standardErrors');
    expect((json.eval as Held).standardErrors).to.have.all.keys('kl', 'reward', 'objective');
    expect(json.completions).to.equal(3 * 8);
    const { written, trained } = json.tokens as { written: number; trained: number };
    expect(written).to.be.within(24, 24 * 6);
    expect(trained).to.be.above(written / 2);
    expect(json.seconds).to.have.all.keys('writing', 'rewarding', 'training');
    for (const seconds of Object.values(json.seconds as Record<string, number>))
      expect(seconds).to.be.within(0, 120);
    expect(stderr)
      .to.include('reward')
      .and.include('KL')
      .and.match(/J -?\d+\.\d\d ± \d/)
      .and.match(/\d tokens long · \d+% cut/)
      .and.match(/writing \d+, training \d+ tokens\/s/);
    const record = JSON.parse(await readFile(workshop.path('whole/run.json'), 'utf8'));
    expect(record).to.deep.include({ method: 'rloo', rewards: ['length'] });
    expect(record.settings).to.include({ numGenerations: 4, beta: 0.05, maxCompletionLength: 6 });
    expect((await adapter('whole')).length).to.be.above(0);
  });

  it('loads a function from a file, with the rows’ columns, and gives a certificate with enough completions', async () => {
    const { code, json, stderr } = await run('file', {
      '--reward': workshop.path('reward.mjs'),
      '--beta': '0.01',
      '--num-generations-eval': '64',
      '--max-steps': '1',
    });
    expect(code, stderr).to.equal(0);
    const { lowerBound, standardErrors, ...held } = json.eval as Held;
    for (const found of [held.optimalityGap, held.optimalityGapCorrected, standardErrors.optimalityGap])
      expect(found).to.be.a('number');
    // At so small a β few completions count, so both here and in the terminal the estimate is called a lower bound.
    expect(held.effectiveSamples).to.be.below(5);
    expect(lowerBound).to.equal(true);
    expect(stderr).to.include('gap at least');
    for (const route of [held.optimum?.policy, held.optimum?.reference]) {
      expect(route).to.have.all.keys('estimate', 'corrected', 'standardErrors', 'effectiveSamples');
      expect(route!.corrected).to.be.at.least(route!.estimate);
    }
  });

  it('explains why there is no certificate at β 0', async () => {
    const { code, json, stderr } = await run('free', {
      '--beta': '0',
      '--num-generations-eval': '64',
      '--max-steps': '1',
    });
    expect(code, stderr).to.equal(0);
    expect(stderr).to.include('beta is 0').and.include('optimality_gap').and.include('above 0');
    expect(json.eval).to.not.have.any.keys('optimalityGap', 'optimum');
  });

  it('resumes with the same bytes after a stop', async () => {
    await run('stopped', { '--max-steps': '3', '--config': await workshop.write('c.json', '{}') });
    expect(await adapter('stopped')).to.deep.equal(await adapter('whole'));
  });

  const refused: [string, Record<string, string>, string[]][] = [
    ['an unknown reward', { '--reward': 'sentimant' }, ['sentimant', 'sentiment']],
    ['a batch that the group size does not divide', { '--batch-size': '6' }, ['6', '4']],
    ['groups of one completion', { '--num-generations': '1' }, ['--num-generations', 'from 2']],
    [
      'a length that leaves no space',
      { '--max-completion-length': '64' },
      ['line 1', '64 positions', '--max-completion-length'],
    ],
    ['a wrong number of weights', { '--reward-weights': '1,2' }, ['2 entries']],
  ];
  for (const [what, more, words] of refused) {
    it(`refuses ${what}`, async () => {
      const { code, stderr, stdout } = await run('refused', more);
      expect(code).to.be.above(0);
      for (const word of words) expect(stderr + stdout).to.include(word);
    });
  }

  it('rejects a run without a reward, a file without a function, and a function that throws', async () => {
    const empty = await workshop.write('empty.mjs', 'export const nothing = 1;\n');
    const broken = await workshop.write(
      'broken.mjs',
      'export const angry = () => { throw new Error("no more cheese"); };\n',
    );
    for (const [reward, word] of [
      [empty, 'exports no function'],
      [broken, 'no more cheese'],
    ] as const) {
      const { code, stderr, stdout } = await run('refused', { '--reward': reward });
      expect(code).to.equal(1);
      expect(stderr + stdout).to.include(word);
    }
    const without = await workshop.run([
      'rloo',
      '--model',
      workshop.path('model'),
      '--data',
      workshop.path('prompts.jsonl'),
      '--out',
      workshop.path('none'),
    ]);
    expect(without.code).to.be.above(0);
    expect(without.stderr).to.include('--reward');
  });
});
