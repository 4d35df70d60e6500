/**
 * The bench itself: its arithmetic is right, it counts WebGPU's calls, and its smallest cases run and agree on their
 * results. No time is checked here.
 */
import { expect } from 'chai';
import { platformGpu } from '../support/gpu.ts';
import type { Measured, Result } from './bench.ts';
import { type Book, noted } from './book.ts';
import { CASES } from './cases/all.ts';
import { overOurs, straightLine, verdicts } from './claims.ts';
import { FACTS } from './facts.ts';
import { numbers, tokens } from './inputs.ts';
import { resultLines, verdictLine } from './report.ts';
import { growthPlot, peersPlot } from './speed/plots.ts';
import type { Row } from './speed/tables.ts';
import { type BenchEvent, runSuite } from './suite.ts';
import { medianOf, quantile } from './timing.ts';
import { installWatch } from './watch.ts';

const measured = (median: number, peakBytes = 100): Measured => ({
  median,
  quartiles: [median, median],
  cpu: null,
  samples: 1,
  first: 0,
  peakBytes,
  dispatches: 1,
  submits: 1,
});

const result = (id: string, group: string, size: Record<string, number>, by: Result['by']): Result => ({
  id,
  group,
  size,
  work: { flop: 1e6 },
  by,
  differences: {},
});

function bookOf(results: readonly Result[], facts: Book['facts'] = {}): Book {
  const adapter = { vendor: '', architecture: 'test', description: '', software: true, features: [] };
  const byId = Object.fromEntries(results.map((each) => [each.id, each]));
  const peak = { gflops: 1, gbytes: 1 };
  return { where: 'test', date: '2026-01-01', adapter, peak, peers: {}, results: byId, facts, leftOut: {} };
}

describe('bench: arithmetic', () => {
  it('medians and quartiles are interpolated between neighbors', () => {
    expect(medianOf([3, 1, 2])).to.equal(2);
    expect(medianOf([4, 1, 2, 3])).to.equal(2.5);
    expect(quantile([0, 1, 2, 3], 0.25)).to.equal(0.75);
  });

  it('a line is fitted, with its goodness of fit', () => {
    const exact = straightLine([1, 2, 5].map((x) => [x, 3 * x + 4]));
    expect(exact.slope).to.be.closeTo(3, 1e-12);
    expect(exact.intercept).to.be.closeTo(4, 1e-12);
    expect(exact.r2).to.be.closeTo(1, 1e-12);
    // Of the variance 2/3 of y = 0, 1, 0 nothing is explained.
    expect(straightLine([0, 1, 2].map((x) => [x, x % 2])).r2).to.equal(0);
  });

  it('only the faster and the smaller peer count, and not one that failed', () => {
    const by = { webalign: measured(2, 10), a: measured(6, 20), b: measured(8, 15), c: 'cannot' };
    const each = result('x', 'squares', { m: 1024 }, by);
    expect(overOurs(each)).to.equal(3);
    expect(overOurs(each, ({ peakBytes }) => peakBytes)).to.equal(1.5);
    expect(overOurs(result('x', 'squares', {}, { webalign: measured(1), c: 'cannot' }))).to.equal(undefined);
  });

  it('a promised figure holds, fails, or was not measured', () => {
    const judge = (results: readonly Result[], facts?: Book['facts']) =>
      verdicts(bookOf(results, facts)).map(({ holds }) => holds);
    expect(judge([]).every((holds) => holds === undefined)).to.equal(true);
    const square = (peer: number) =>
      result('p', 'squares', { m: 1024 }, { webalign: measured(2), a: measured(peer) });
    expect(judge([square(3)])[0]).to.equal(true);
    expect(judge([square(2.9)])[0]).to.equal(false);
    const steps = [100, 200, 300, 400].flatMap((count) => [
      result(`s${count}`, 'step by tokens', { tokens: count }, { webalign: measured(count + count ** 2) }),
      result(`a${count}`, 'attention by tokens', { tokens: count }, { webalign: measured(count ** 2) }),
    ]);
    expect(judge(steps)[3]).to.equal(true);
    expect(judge([], { 'dispatches by pairs': { 1: 9, 2: 10, 4: 10 } })[4]).to.equal(true);
    expect(judge([], { 'dispatches by pairs': { 1: 9, 2: 10, 4: 11 } })[4]).to.equal(false);
    expect(judge([], { 'planned bytes by vocabulary': { 1000: 0, 151936: 65 * 2 ** 20 } })[5]).to.equal(
      false,
    );
    for (const verdict of verdicts(bookOf([square(3)])))
      expect(verdictLine(verdict)).to.include(verdict.claim);
  });

  it('plots are drawn, with their text escaped', () => {
    const rows: Row[] = [
      { id: '<p>', times: { webalign: 2, a: 6, b: 1 } },
      { id: 'q', times: { webalign: 2, a: 3 } },
    ];
    const peers = peersPlot(rows, 'a title');
    const growth = growthPlot(
      [
        {
          name: 'tokens',
          points: [
            [1, 2],
            [2, 5],
            [4, 9],
          ],
        },
      ],
      'a title',
    );
    for (const svg of [peers, growth])
      expect(svg)
        .to.match(/^<svg/)
        .and.not.match(/NaN|undefined|Infinity/);
    expect(peers).to.include('&lt;p&gt;').and.include('1/2');
  });

  it('inputs are the same for the same seed, within their bounds', () => {
    expect(numbers(3, 100)).to.deep.equal(numbers(3, 100));
    expect(numbers(3, 100)).to.not.deep.equal(numbers(4, 100));
    expect(Math.max(...numbers(1, 10_000, 2).map(Math.abs))).to.be.within(1.9, 2);
    const ids = tokens(1, 10_000, 10);
    expect([Math.min(...ids), Math.max(...ids)]).to.deep.equal([0, 9]);
  });
});

describe('bench: the cases', function () {
  this.timeout(300_000);

  it('have unique names, and include quick ones', () => {
    const ids = [...CASES, ...FACTS].map(({ id }) => id);
    expect(new Set(ids).size).to.equal(ids.length);
    expect(CASES.some(({ quick }) => quick)).to.equal(true);
  });

  it('run, the quick ones, and say what they did', async () => {
    const source = await platformGpu();
    installWatch();
    let book: Book | undefined;
    const events: BenchEvent[] = [];
    const only = ['product nn', 'attention and back', 'head and back', 'DPO', 'step tiny', 'dispatches'];
    for await (const event of runSuite(source, CASES, [], { only, quick: true })) {
      events.push(event);
      book = noted(book, event, 'test', '2026-01-01');
    }
    expect(events[0]?.type).to.equal('adapter');
    expect(Object.keys(book?.results ?? {})).to.have.length(5);
    for (const each of Object.values(book?.results ?? {})) {
      const own = each.by.webalign;
      if (typeof own !== 'object') throw new Error(`${each.id}: ${own}`);
      expect(own.dispatches, each.id).to.be.above(0);
      expect(own.submits, each.id).to.be.above(0);
      expect(own.peakBytes, each.id).to.be.above(0);
      expect(own.median, each.id).to.be.above(0);
      expect(resultLines(each, book!.peak)[0]).to.include(each.id);
    }
    const counts = Object.values(book?.facts['dispatches by pairs'] ?? {});
    expect(new Set(counts).size).to.equal(1);
    const { gflops, gbytes } = book!.peak;
    expect(Math.min(gflops, gbytes)).to.be.above(0);
  });
});
