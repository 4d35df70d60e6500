/** `webalign best-of-n`: what it keeps and writes, that two runs write the same, and what it refuses. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { lines, Workshop } from './workshop.ts';

const PROMPTS = ['the sky', 'the end', 'a same thing'].map((prompt, i) => ({ prompt, topic: `t${i}` }));

interface Line {
  prompt: string;
  completion: string;
  reward: number;
  n: number;
  rewards: (number | null)[];
  topic: string;
}

describe('cli: best-of-n', () => {
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
    await workshop.write('prompts.jsonl', lines(PROMPTS));
    await workshop.write(
      'some.mjs',
      'export default function some({ completionIds, columns }) {\n' +
        '  return completionIds.map((ids, i) => (columns.topic[i] === "t1" ? null : ids.reduce((a, b) => a + b, 0)));\n}\n',
    );
  });
  after(() => workshop.close());

  const run = (out: string, more: Record<string, string> = {}) => {
    const all = { '--reward': 'length', '--num-generations': '4', '--max-completion-length': '6', ...more };
    const flags = Object.entries(all).flatMap(([flag, value]) => (value === '' ? [flag] : [flag, value]));
    const paths = ['--model', workshop.path('model'), '--data', workshop.path('prompts.jsonl')];
    return workshop.run(['best-of-n', ...paths, '--out', workshop.path(out), ...flags]);
  };
  const written = async (out: string) =>
    (await readFile(workshop.path(out), 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);

  it("keeps the best of each prompt, with all rewards and the row's columns, deterministically", async () => {
    const { code, json, stderr } = await run('best.jsonl');
    expect(code, stderr).to.equal(0);
    const rows = await written('best.jsonl');
    expect(rows.map(({ prompt, topic }) => ({ prompt, topic }))).to.deep.equal(PROMPTS);
    for (const { n, reward, rewards, completion } of rows) {
      expect(n).to.equal(4);
      expect(rewards.length).to.equal(4);
      expect(reward).to.equal(Math.max(...(rewards as number[])));
      expect(completion).to.be.a('string');
    }
    const best = rows.reduce((sum, { reward }) => sum + reward, 0) / 3;
    expect(json).to.deep.include({ prompts: 3, leftOut: 0, n: 4, completions: 12 });
    expect((json.reward as { best: number }).best).to.be.closeTo(best, 1e-12);
    expect(json.klBound).to.be.closeTo(Math.log(4) - 3 / 4, 1e-12);
    await run('again.jsonl');
    expect(await written('again.jsonl')).to.deep.equal(rows);
  });

  it('loads a function from a file and omits completions that it cannot rate', async () => {
    const { code, json, stderr } = await run('some.jsonl', { '--reward': workshop.path('some.mjs') });
    expect(code, stderr).to.equal(0);
    expect(json).to.include({ prompts: 2, leftOut: 1 });
    expect(stderr).to.include('line 2').and.include('skipped');
    expect((await written('some.jsonl')).map(({ topic }) => topic)).to.deep.equal(['t0', 't2']);
  });

  it('does not overwrite a file unless told to', async () => {
    await workshop.write('there.jsonl', '');
    const { code, error } = await run('there.jsonl');
    expect(code).to.equal(1);
    expect(error.message).to.include('already exists');
    expect((await run('there.jsonl', { '--overwrite': '' })).code).to.equal(0);
  });

  const REFUSED: [what: string, more: Record<string, string>, words: string[]][] = [
    ['an unknown reward', { '--reward': 'lenght' }, ['lenght', 'length']],
    ['a length that leaves no space', { '--max-completion-length': '64' }, ['line 1', '64 positions']],
    ['both names of n', { '--n': '2' }, ['--n and --num-generations']],
    ['a wrong number of weights', { '--reward-weights': '1,2' }, ['2 entries']],
  ];
  for (const [what, more, words] of REFUSED) {
    it(`refuses ${what}`, async () => {
      const { code, stderr, stdout } = await run('refused.jsonl', more);
      expect(code).to.be.above(0);
      for (const word of words) expect(stderr + stdout).to.include(word);
    });
  }

  it('refuses a folder, zero completions, and prompts that cannot be rated', async () => {
    const folder = await run('model');
    expect(folder.error.message).to.include('is a folder');
    const zero = await run('zero.jsonl', { '--num-generations': '0' });
    expect(zero.error.message).to.include('n is 0').and.include('whole number from 1');
    const none = await workshop.write(
      'none.mjs',
      'export default ({ completions }) => completions.map(() => null);\n',
    );
    expect((await run('none.jsonl', { '--reward': none })).error.message).to.include('no prompt');
  });
});
