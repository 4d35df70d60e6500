/** `webalign reward`: three forms of rows, numbers equal to those of `logprobs`, and invalid rows. */
import { expect } from 'chai';
import { tokenizeCompletions } from '../../src/data/tokenize-completions.ts';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { folderFiles } from '../../src/node/folder.ts';
import { readFixture } from '../support/files.ts';
import { lines, pairs, Workshop } from './workshop.ts';

interface Answer {
  reward: number;
  logp: number;
  referenceLogp: number;
  tokens: number;
  rank: number;
}
interface Rated {
  results: { label?: boolean; answers: Answer[] }[];
  metrics: Record<string, number>;
  beta: number;
}

describe('cli: reward', () => {
  let workshop: Workshop;
  let opened: string[];
  before(async () => {
    workshop = await Workshop.open();
    for (const name of ['adapter_config.json', 'adapter_model.safetensors'])
      await workshop.write(`adapter/${name}`, await readFixture(`tiny-llama/adapter/${name}`));
    opened = ['--model', workshop.path('model'), '--adapter', workshop.path('adapter')];
  });
  after(() => workshop.close());

  let files = 0;
  const rate = async (rows: readonly unknown[], ...more: string[]) => {
    const data = await workshop.write(`rows-${files++}.jsonl`, lines(rows));
    return workshop.run(['reward', ...opened, '--data', data, ...more]);
  };
  const rated = async (rows: readonly unknown[], ...more: string[]) => {
    const { code, stderr, json } = await rate(rows, ...more);
    expect(code, stderr).to.equal(0);
    return json as unknown as Rated;
  };

  it('pairs: β times the difference of logprobs with and without the adapter', async () => {
    const rows = pairs(3);
    const { results, metrics, beta } = await rated(rows, '--beta', '0.5');
    expect(beta).to.equal(0.5);

    const tokenizer = await Tokenizer.fromFiles(folderFiles(workshop.path('model')));
    const { examples } = tokenizeCompletions(
      rows.map(({ prompt, chosen, rejected }) => ({ prompt, completions: { chosen, rejected } })),
      tokenizer,
    );
    const sequences = examples.flatMap(({ prompt, completions }) =>
      completions.map((completion) => ({ prompt, completion })),
    );
    const ids = sequences.map(({ prompt, completion }) => ({ ids: [...prompt, ...completion] }));
    const input = await workshop.write('ids.jsonl', lines(ids));
    const score = async (...adapter: string[]) => {
      const args = ['logprobs', '--model', workshop.path('model'), '--input', input, ...adapter];
      const { results: scored } = (await workshop.run(args)).json as { results: { logprobs: number[] }[] };
      return scored.map(({ logprobs }, i) => {
        const own = logprobs.slice(-sequences[i].completion.length);
        return own.reduce((a, b) => a + b, 0);
      });
    };
    const [policy, reference] = [await score('--adapter', workshop.path('adapter')), await score()];
    const answers = results.flatMap((result) => result.answers);
    for (const [i, answer] of answers.entries()) {
      expect(answer.tokens).to.equal(sequences[i].completion.length);
      // Sums of a few float32 numbers, in batches of another shape.
      expect(answer.logp).to.be.closeTo(policy[i], 1e-4);
      expect(answer.referenceLogp).to.be.closeTo(reference[i], 1e-4);
      expect(answer.reward).to.equal(0.5 * (answer.logp - answer.referenceLogp));
      expect(answer.reward).to.not.equal(0);
    }
    const margins = results.map(({ answers: [a, b] }) => a.reward - b.reward);
    const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    expect(metrics).to.have.all.keys(
      'rewards/chosen',
      'rewards/rejected',
      'rewards/margins',
      'rewards/accuracies',
    );
    expect(metrics['rewards/margins']).to.be.closeTo(mean(margins), 1e-12);
    expect(metrics['rewards/accuracies']).to.equal(mean(margins.map((margin) => (margin > 0 ? 1 : 0))));
  });

  it('lists: ranked by reward, the best first', async () => {
    const completions = [' is blue', ' is red.', ' the end'];
    const { results, metrics } = await rated([{ prompt: 'the sky', completions }]);
    const answers = results[0].answers;
    expect(metrics).to.deep.equal({});
    const sorted = [...answers].sort((a, b) => a.rank - b.rank);
    expect(sorted.map(({ rank }) => rank)).to.deep.equal([1, 2, 3]);
    expect(sorted[0].reward).to.be.above(sorted[1].reward);
    expect(sorted[1].reward).to.be.above(sorted[2].reward);

    const { stderr } = await rate([{ prompt: 'the sky', completions }]);
    const places = sorted.map((answer) =>
      stderr.indexOf(`${completions[answers.indexOf(answer)]?.trim()}\n`),
    );
    expect(places.every((place) => place > 0)).to.equal(true);
    expect(places).to.deep.equal([...places].sort((a, b) => a - b));
  });

  it('labels: the accuracy, with the same scores with and without a label', async () => {
    const rows = pairs(4).flatMap(({ prompt, chosen, rejected }) => [
      { prompt, completion: chosen, label: true },
      { prompt, completion: rejected, label: false },
    ]);
    const { results, metrics } = await rated(rows);
    const of = (label: boolean) =>
      results.filter((result) => result.label === label).map(({ answers: [answer] }) => answer.reward);
    const [good, bad] = [of(true), of(false)];
    const wins = good.flatMap((a) => bad.map((b) => (a > b ? 1 : a === b ? 0.5 : 0)));
    expect(metrics.auc).to.equal(wins.reduce((a: number, b) => a + b, 0) / wins.length);
    const bare = await rated(rows.map(({ label: _, ...row }) => row));
    expect(bare.metrics).to.deep.equal({});
    expect(bare.results).to.deep.equal(results.map(({ label: _, ...result }) => result));
  });

  it('two adapters: the reference keeps the first, and q scales the last', async () => {
    const twice = ['--adapter', workshop.path('adapter')];
    const [once, both, none] = [
      await rated(pairs(1)),
      await rated(pairs(1), ...twice),
      await rated(pairs(1), '--q', '0'),
    ];
    const [a, b, c] = [once, both, none].map(({ results }) => results[0].answers[0]);
    expect(b.referenceLogp).to.equal(a.logp);
    expect(c.reward).to.equal(0);
  });

  const REFUSED: [name: string, row: unknown, ...parts: string[]][] = [
    ['a number', 3, 'a number'],
    ['a row without answers', { prompt: 'the sky' }, '"completion"'],
    ['a pair with one side', { prompt: 'the sky', chosen: ' is blue' }, '"rejected"'],
    ['an empty list', { prompt: 'the sky', completions: [] }, '"completions"'],
    ['a list with something else', { prompt: 'the sky', completions: [' is blue', 1] }, '"completions"'],
    ['a list without a prompt', { completions: [' is blue'] }, '"prompt"'],
    [
      'a label that is none',
      { prompt: 'the sky', completion: ' is blue', label: 'good' },
      '"label" must be true or false, got a string',
    ],
  ];
  for (const [name, row, ...parts] of REFUSED) {
    it(`refuses ${name}, by its line`, async () => {
      const { code, error } = await rate([pairs(1)[0], row]);
      expect(code).to.equal(1);
      expect(error.name).to.equal('InputError');
      for (const part of ['line 2', ...parts]) expect(error.message).to.include(part);
    });
  }

  it('needs an adapter', async () => {
    const { code, error } = await workshop.run(['reward', '--model', workshop.path('model'), '--data', 'x']);
    expect({ code, name: error.name }).to.deep.equal({ code: 2, name: 'UsageError' });
    expect(error.message).to.include('--adapter');
  });
});
