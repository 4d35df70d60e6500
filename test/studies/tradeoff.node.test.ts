/** Two conflicting criteria: what is computed from samples, the page and the plot, and the command on a tiny example. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { checksOf, type Tradeoff, tradeoffOf } from '../../src/studies/tradeoff/analysis.ts';
import { type ByModel, type Result, relabelled } from '../../src/studies/tradeoff/collect.ts';
import { altText, tradeoffPage, verdict } from '../../src/studies/tradeoff/page.ts';
import { tradeoffPlot } from '../../src/studies/tradeoff/plot.ts';
import { ERRORS, TRADEOFF, TRADEOFF_QUICK } from '../../src/studies/tradeoff/task.ts';
import { Workshop } from '../cli/workshop.ts';

/** Two openings of two stories, whose means are `sentiment` and `calm`, plus and minus a half. */
function result(sentiment: number, calm: number, firstStage?: string): Result {
  const groups = (mean: number) => [
    [mean - 1, mean],
    [mean, mean + 1],
  ];
  return {
    adapter: 'test',
    steps: 4,
    ...(firstStage ? { firstStage } : {}),
    sentiment: groups(sentiment),
    calm: groups(calm),
    tokens: groups(30),
    logRatios: groups(2),
  };
}

const RESULTS: ByModel<Result> = {
  base: result(2, -1),
  reward: result(8, -4, 'a'),
  scaled: [
    { q: 0, of: result(8, -4, 'a') },
    { q: 0.5, of: result(7, -3, 'a') },
    { q: 1, of: result(4, -1, 'a') },
  ],
  both: result(5, -2),
};
/** With one of the scaled results replaced. */
const withScaled = (at: number, of: Result): ByModel<Result> => ({
  ...RESULTS,
  scaled: RESULTS.scaled.map((each, i) => (i === at ? { q: each.q, of } : each)),
});
const checked = (results: ByModel<Result>) => checksOf(tradeoffOf(results), results, ERRORS);

describe('cli: tradeoff, its arithmetic', () => {
  it('labels pairs again by calm, and drops ties', () => {
    const row = (chosen: string, rejected: string) => ({ prompt: 'Tim', chosen, rejected });
    const [agree, opposed, tie] = [row('sat.', 'sat!'), row('was happy.', 'sat.'), row('sat.', 'ran.')];
    expect(relabelled([agree, opposed, tie])).to.deep.equal([agree, row('sat.', 'was happy.')]);
  });

  it('computes errors between openings and differences opening by opening', () => {
    const { base, second, whole, moves, atOnce } = tradeoffOf(RESULTS);
    // Openings have means 1.5 and 2.5.
    expect(base.sentiment).to.deep.equal({ mean: 2, standardError: 0.5 });
    expect(second).to.deep.equal({
      sentiment: { mean: -4, standardError: 0 },
      calm: { mean: 3, standardError: 0 },
    });
    expect(whole.sentiment.mean).to.equal(2);
    expect(moves.map(({ from, to, calm }) => [from, to, calm.mean])).to.deep.equal([
      [0, 0.5, 1],
      [0.5, 1, 2],
    ]);
    expect([atOnce.sentiment.mean, atOnce.calm.mean]).to.deep.equal([1, -1]);
  });

  it('checks the requirements, and detects each violation', () => {
    expect(checked(RESULTS)).to.deep.equal({ calmer: true, back: [], untouched: true });
    expect(checked(withScaled(2, result(8, -4, 'a'))).calmer).to.equal(false);
    const back = checked(withScaled(1, result(7, -5, 'a'))).back;
    expect(back.map(({ from, to }) => [from, to])).to.deep.equal([[0, 0.5]]);
    expect(checked(withScaled(1, result(3, -3, 'a'))).back.map(({ from }) => from)).to.deep.equal([0.5]);
    expect(checked(withScaled(1, result(7, -3, 'b'))).untouched).to.equal(false);
    expect(checked(withScaled(0, result(8.1, -4, 'a'))).untouched).to.equal(false);
    expect(checked({ ...RESULTS, reward: result(8, -4) }).untouched).to.equal(false);
  });
});

describe('cli: tradeoff, its page and plot', () => {
  const tradeoff = tradeoffOf(RESULTS);
  const page = {
    tradeoff,
    checks: checked(RESULTS),
    task: TRADEOFF,
    pairs: { reward: 640, calm: 498, opposed: 451 },
    adapters: ['test'],
    plot: 'sacpo.svg',
  };

  it('reports measurements and outcome', () => {
    const text = tradeoffPage(page);
    expect(text)
      .to.include('![Gladness against calm: as it was 2.00 at −1.00')
      .and.include('| as it was |  | 4 | 2.00 ± 0.50 |')
      .and.include('| after the first stage | 0 |')
      .and.include('by +3.00 ± 0.00, at a cost in gladness of 4.00 ± 0.00')
      .and.include('in fact not at all')
      .and.not.match(/NaN|undefined/);
    const failed = withScaled(1, result(3, -5, 'b'));
    const sentences = verdict({ tradeoff: tradeoffOf(failed), checks: checked(failed) }).join('\n');
    expect(sentences).to.include('does not move steadily').and.include('was touched');
  });

  it('draws every model', () => {
    const svg = tradeoffPlot(tradeoff, altText(tradeoff));
    expect(svg.match(/<path class="f\d"/g)).to.have.length(5 + 3);
    expect(svg)
      .to.include('prefers-color-scheme:dark')
      .and.include('q 0.5')
      .and.not.match(/NaN|undefined|Infinity/);
  });
});

describe('cli: tradeoff, the command', function () {
  this.timeout(300_000);
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
  });
  after(() => workshop.close());

  it('measures, plots, and plots again without measuring', async () => {
    const [out, work] = [workshop.path('docs/sacpo'), workshop.path('work')];
    const args = ['tradeoff', '--quick', '--out', out, '--work', work];
    const first = await workshop.run(args);
    expect(first.code, first.stderr).to.equal(0);
    const found = first.json as unknown as Tradeoff & { checks: ReturnType<typeof checked> };
    expect(found.scaled.map(({ q }) => q)).to.deep.equal(TRADEOFF_QUICK.scales);
    expect(found.checks.untouched).to.equal(true);
    expect(found.both.steps).to.equal(found.scaled.at(-1)?.steps);
    const drawn = await Promise.all(['md', 'svg'].map((type) => readFile(`${out}.${type}`, 'utf8')));

    const again = await workshop.run(args);
    expect(again.stderr).to.not.include('Writing').and.not.include('Training');
    expect(again.json).to.deep.equal(first.json);
    expect(await Promise.all(['md', 'svg'].map((type) => readFile(`${out}.${type}`, 'utf8')))).to.deep.equal(
      drawn,
    );
  });
});
