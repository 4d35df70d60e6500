/** What a run of each kind leaves besides its adapter: a report, its log, and nothing that is only a cache. */
import { readdir, readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { lines, pairs, Workshop } from './workshop.ts';

const HOSTILE = '</script><img src=x onerror=alert(1)>';
const RUN = {
  '--max-steps': '1',
  '--eval-split': '2',
  '--report-samples': '2',
  '--lora-r': '16',
  '--batch-size': '4',
};

const PROMPTS = pairs(6).map(({ prompt }) => ({ prompt }));
/** One method for each way of evaluating held-out rows. */
const METHODS: Record<string, { rows: object[]; more?: Record<string, string>; titles: string[] }> = {
  dpo: {
    rows: pairs(6),
    titles: ['Log-ratios of held-out completions', 'Fluency', 'Distinct-3', 'Length', 'Held-out accuracy'],
  },
  sft: {
    rows: pairs(6).map(({ prompt, chosen }) => ({ text: prompt + chosen })),
    titles: ['Likelihood of held-out texts', 'Fluency', 'Token accuracy'],
  },
  'reward-model': { rows: pairs(6), titles: ['Scores of held-out completions', 'Rows and their scores'] },
  rloo: {
    rows: PROMPTS,
    more: { '--reward': 'length', '--num-generations': '2', '--max-completion-length': '4' },
    titles: ['Rewards of its texts', 'Reward', 'KL'],
  },
};

describe('cli: the report of a run', function () {
  this.timeout(240_000);
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
  });
  after(() => workshop.close());

  const run = async (method: string, out: string, more: Record<string, string>) => {
    const { rows } = METHODS[method];
    const data = await workshop.write(`${HOSTILE.slice(2, 8)}/${method}.jsonl`, lines(rows));
    const flags = {
      '--model': workshop.path('model'),
      '--data': data,
      '--out': workshop.path(out),
      ...RUN,
      ...more,
    };
    return workshop.run([
      method,
      ...Object.entries(flags).flatMap(([flag, value]) => (value ? [flag, value] : [flag])),
    ]);
  };

  for (const [method, { more = {}, titles }] of Object.entries(METHODS)) {
    it(`${method}: one page with its results`, async () => {
      const { code, stderr } = await run(method, method, { ...more, '--log-csv': '' });
      expect(code, stderr).to.equal(0);
      expect(stderr).to.match(/report\.html: \d texts and \d held-out completions before and after; \d/);
      const page = await readFile(workshop.path(`${method}/report.html`), 'utf8');
      for (const title of titles) expect(page, title).to.include(title);
      expect(page.match(/<script/g)).to.have.length(1);
      expect(page).to.not.match(/<[^<>]*\s(?:src|href)=/);
      // The settings that were changed, and those with their defaults.
      const [changed, usual] = page.slice(page.indexOf('<h2>Settings')).split('with their defaults');
      expect(changed).to.include('maxSteps').and.not.include('weightDecay');
      expect(usual).to.include('weightDecay');
      const left = await readdir(workshop.path(method));
      expect(left.filter((name) => name.startsWith('reference'))).to.deep.equal([]);
      expect(left).to.include.members(['trainer_state.json', 'log.csv', 'adapter_model.safetensors']);
      const table = await readFile(workshop.path(`${method}/log.csv`), 'utf8');
      expect(table).to.match(/^step,epoch,.*\bloss\b/);
    });
  }

  it('finishes with a notice if the texts cannot be generated', async () => {
    const data = { '--reward': await workshop.write('odd.mjs', ODD_REWARD) };
    const { code, stderr } = await run('rloo', 'odd', {
      ...METHODS.rloo.more,
      ...data,
      '--num-generations-eval': '1',
    });
    expect(code, stderr).to.equal(0);
    expect(stderr).to.include('report.html: without before and after').and.include('not today');
    expect(await readFile(workshop.path('odd/report.html'), 'utf8')).to.include('not measured');
  });

  it('refuses a wrong number of texts before it opens the model', async () => {
    const { code, error } = await run('dpo', 'wrong', { '--report-samples': '-1' });
    expect(code).to.equal(1);
    expect(error.message).to.include('--report-samples');
  });
});

/** Fails for the two prompts of the report. */
const ODD_REWARD = `let calls = 0;
export default function odd({ completions, step }) {
  if (step === undefined && calls++ === 0) throw new Error('not today ${HOSTILE}');
  return completions.map(() => 1);
}
`;
