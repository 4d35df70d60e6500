/** Several data sets as one: how many rows of each, which, in what order, and what is refused. */
import { expect } from 'chai';
import { type MixOptions, mixDatasets } from '../../src/data/mix-datasets.ts';
import { expectRefused } from '../io/refused.ts';

/** A data set whose rows name their source: `a0`, `a1`. */
const named = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}${i}`);
const from = (name: string, rows: readonly string[]) => rows.filter((row) => row.startsWith(name));
const takenOf = (sizes: readonly number[], options: Omit<MixOptions, 'seed'>) =>
  mixDatasets(
    sizes.map((size, i) => named(String.fromCharCode(97 + i), size)),
    { seed: 42, ...options },
  ).parts.map(({ taken }) => taken);

/** Rows of each data set in TRL 1.16's `get_dataset` with these values of `fraction`, from JSON files of these sizes. */
const TRLS: readonly [sizes: number[], fractions: number[], counts: number[]][] = [
  [
    [90, 30],
    [0.7, 0.3],
    [70, 30],
  ],
  [
    [90, 30],
    [7, 3],
    [70, 30],
  ],
  [
    [100, 200, 10],
    [1, 1, 1],
    [10, 10, 10],
  ],
  [
    [7, 3, 50],
    [2, 1, 4],
    [6, 3, 12],
  ],
  // Halves are rounded to even numbers.
  [
    [11, 5],
    [1, 2],
    [2, 5],
  ],
  [
    [1, 10, 20],
    [2, 5, 3],
    [1, 2, 2],
  ],
  [
    [9, 4],
    [0, 1],
    [0, 4],
  ],
  [
    [1000, 37],
    [0.9, 0.1],
    [333, 37],
  ],
];

describe('data/mix-datasets', () => {
  it('without weights, has all rows in their order', () => {
    const { rows, parts } = mixDatasets([named('b', 2), named('a', 3)], { seed: 1 });
    expect(rows).to.deep.equal(['b0', 'b1', 'a0', 'a1', 'a2']);
    expect(parts).to.deep.equal([
      { rows: 2, taken: 2, dropped: 0, repeated: 0 },
      { rows: 3, taken: 3, dropped: 0, repeated: 0 },
    ]);
  });

  it('takes as many rows of each data set as TRL', () => {
    for (const [sizes, weights, counts] of TRLS)
      expect(takenOf(sizes, { weights }), `${sizes} by ${weights}`).to.deep.equal(counts);
  });

  it('first_exhausted drops rows by the seed, repeats none, and keeps their order', () => {
    const datasets = [named('a', 90), named('b', 30)];
    const { rows, parts } = mixDatasets(datasets, { seed: 7, weights: [0.7, 0.3] });
    expect(parts).to.deep.equal([
      { rows: 90, taken: 70, dropped: 20, repeated: 0 },
      { rows: 30, taken: 30, dropped: 0, repeated: 0 },
    ]);
    expect(new Set(rows)).to.have.property('size', 100);
    expect(from('b', rows)).to.deep.equal(datasets[1]);
    expect(from('a', rows)).to.deep.equal(datasets[0]?.filter((row) => rows.includes(row)));
    // Drawn from the whole data set, not from its beginning.
    expect(from('a', rows).slice(-1)).to.not.deep.equal(['a69']);
    expect(mixDatasets(datasets, { seed: 7, weights: [7, 3] }).rows).to.deep.equal(rows);
    expect(mixDatasets(datasets, { seed: 8, weights: [7, 3] }).rows).to.not.have.members(rows);
  });

  it('all_exhausted drops none, and repeats rows as evenly as their number allows', () => {
    const options = { seed: 7, weights: [1, 1], stoppingStrategy: 'all_exhausted' } as const;
    const { rows, parts } = mixDatasets([named('a', 25), named('b', 10)], options);
    expect(parts).to.deep.equal([
      { rows: 25, taken: 25, dropped: 0, repeated: 0 },
      { rows: 10, taken: 25, dropped: 0, repeated: 15 },
    ]);
    const times = named('b', 10).map((name) => rows.filter((row) => row === name).length);
    expect(times.toSorted()).to.deep.equal([2, 2, 2, 2, 2, 3, 3, 3, 3, 3]);
    // Each pass ends before the next begins.
    expect(from('b', rows).slice(0, 20)).to.deep.equal([...named('b', 10), ...named('b', 10)]);
  });

  it('has about the same proportions in every prefix', () => {
    const { rows } = mixDatasets([named('a', 700), named('b', 200), named('c', 100)], {
      seed: 3,
      weights: [7, 2, 1],
    });
    expect(rows).to.have.length(1000);
    for (const [name, share] of [
      ['a', 0.7],
      ['b', 0.2],
      ['c', 0.1],
    ] as const) {
      const off = rows.map((_, i) => from(name, rows.slice(0, i + 1)).length - share * (i + 1));
      expect(Math.max(...off.map(Math.abs)), name).to.be.at.most(1);
    }
  });

  it('selects the same rows whatever the order of the data sets', () => {
    const [a, b, c] = [named('a', 50), named('b', 50), named('c', 9)] as const;
    for (const stoppingStrategy of ['first_exhausted', 'all_exhausted'] as const) {
      const one = mixDatasets([a, b, c], { seed: 5, weights: [3, 2, 1], stoppingStrategy });
      const other = mixDatasets([c, a, b], { seed: 5, weights: [1, 3, 2], stoppingStrategy });
      expect(one.rows.toSorted()).to.deep.equal(other.rows.toSorted());
    }
  });

  it('uses no rows of a data set with weight 0', () => {
    expect(takenOf([10, 3], { weights: [1, 0], stoppingStrategy: 'all_exhausted' })).to.deep.equal([10, 0]);
    expect(takenOf([10, 0], { weights: [1, 0] })).to.deep.equal([10, 0]);
  });

  it('rejects invalid weights, and says what to do', async () => {
    const where = 'weights of the data: ';
    const mixing =
      (weights: number[], sizes = [10, 10]) =>
      () =>
        takenOf(sizes, { weights });
    await expectRefused(mixing([1]), where, 'got 1 weight for 2 data sets', 'one weight per data set');
    await expectRefused(mixing([1, -2]), where, '-2 is not a valid weight', 'at least 0');
    await expectRefused(mixing([1, Number.NaN]), where, 'is not a valid weight');
    await expectRefused(mixing([1, Number.POSITIVE_INFINITY]), where, 'is not a valid weight');
    await expectRefused(mixing([0, 0]), where, 'all weights are 0', 'above 0');
    await expectRefused(
      mixing([1, 1000]),
      where,
      'weight 1 of data set 1 gives none of its 10 rows',
      'Raise',
    );
    await expectRefused(mixing([1, 1], [10, 0]), where, 'gives none of its');
    const huge = () => takenOf([10, 10], { weights: [1e-7, 1], stoppingStrategy: 'all_exhausted' });
    await expectRefused(huge, where, '1.0e+8 rows', 'first_exhausted');
  });

  it('rejects an unknown stopping strategy, and one without weights', async () => {
    const odd = () => takenOf([1, 1], { weights: [1, 1], stoppingStrategy: 'all_exhaust' as never });
    await expectRefused(odd, 'stopping strategy: is "all_exhaust"', 'Did you mean all_exhausted?');
    await expectRefused(
      () => takenOf([1, 1], { stoppingStrategy: 'all_exhausted' }),
      'no effect without weights',
    );
  });
});
