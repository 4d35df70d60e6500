/** `webalign best-of-n`: the best of what is drawn, by any reward, and what it refuses. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { lines, Workshop } from './workshop.ts';

describe('cli: best-of-n', function () {
  this.timeout(120_000);
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
    await workshop.write(
      'prompts.jsonl',
      lines([
        { prompt: 'the sky', topic: 1 },
        { prompt: 'the end', topic: 2 },
      ]),
    );
    await workshop.write(
      'topical.mjs',
      'export default function topical({ completionIds, columns }) {\n' +
        '  return completionIds.map((ids, i) => (columns.topic[i] === 2 ? null : -ids[0]));\n}\n',
    );
  });
  after(() => workshop.close());

  const run = (...more: string[]) =>
    workshop.run([
      'best-of-n',
      '--model',
      workshop.path('model'),
      '--max-tokens',
      '5',
      '--seed',
      '3',
      ...more,
    ]);

  it('keeps the completion with the largest reward, the same for the same seed', async () => {
    const given = ['--prompt', 'the sky', '--prompt', 'the end', '--reward', 'length', '--n', '6'];
    const { code, json, stderr } = await run(...given);
    expect(code, stderr).to.equal(0);
    const results = json.results as { completion: string; reward: number; rewards: number[] }[];
    expect(results).to.have.length(2);
    for (const { reward, rewards } of results) {
      expect(rewards).to.have.length(6);
      expect(reward).to.equal(Math.max(...rewards));
    }
    expect(json.klBound).to.be.closeTo(Math.log(6) - 5 / 6, 1e-12);
    const all = results.flatMap(({ rewards }) => rewards);
    expect((json.reward as { mean: number }).mean).to.be.closeTo(all.reduce((a, b) => a + b, 0) / 12, 1e-9);
    expect((await run(...given)).json.results).to.deep.equal(json.results);
  });

  it('hands columns to the reward, writes what it kept, and leaves out what nothing rated', async () => {
    const given = [
      '--data',
      workshop.path('prompts.jsonl'),
      '--reward',
      workshop.path('topical.mjs'),
      '--num-generations',
      '3',
    ];
    const { code, json, stderr } = await run(...given, '--out', workshop.path('best'));
    expect(code, stderr).to.equal(0);
    const [rated, unrated] = json.results as { completion?: string; reward: number | null }[];
    expect(rated?.completion).to.be.a('string');
    expect(unrated).to.include({ reward: null }).and.not.to.have.property('completion');
    const kept = (await readFile(workshop.path('best/best.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(kept[0]).to.deep.equal({
      prompt: 'the sky',
      completion: rated?.completion,
      reward: rated?.reward,
    });
    const again = await run(...given, '--out', workshop.path('best'));
    expect(again.code).to.equal(1);
    expect(again.stderr).to.include('--overwrite');
  });

  it('refuses what makes no sense', async () => {
    const refused: [string[], string][] = [
      [['--reward', 'length'], '--prompt'],
      [['--prompt', 'the sky', '--reward', 'length', '--n', '0'], '--n'],
      [
        ['--prompt', 'the sky', '--reward', 'length', '--n', '2', '--num-generations', '3'],
        '--num-generations',
      ],
      [['--prompt', 'the sky', '--reward', 'lenght'], 'length'],
      [['--prompt', 'the sky'], '--reward'],
    ];
    for (const [args, word] of refused) {
      const { code, stderr } = await run(...args);
      expect(code, args.join(' ')).to.be.above(0);
      expect(stderr).to.include(word);
    }
  });
});
