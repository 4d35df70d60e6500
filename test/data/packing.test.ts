import { expect } from 'chai';
import {
  batches,
  invertIndex,
  type PackedBatch,
  packExamples,
  packPairs,
  packSequences,
  sequencesOf,
  type TokenizedPair,
} from '../../src/data/packing.ts';
import { Random } from '../../src/data/random.ts';

/** Pairs with lengths from 1 up, with ids that all differ. */
function randomPairs(count: number, seed: number): TokenizedPair[] {
  const random = new Random(seed);
  let id = 0;
  const tokens = () => Array.from({ length: 1 + random.below(6) }, () => id++);
  return Array.from({ length: count }, () => ({ prompt: tokens(), chosen: tokens(), rejected: tokens() }));
}

/** What each token attends to, as the ids of its keys in order, from the spans as queries use them. */
function keysOf({ ids, spans }: PackedBatch, query: number): number[] {
  const [prefixStart, prefixEnd, start] = spans.subarray(4 * query);
  return [...ids.subarray(prefixStart, prefixEnd), ...ids.subarray(start, query + 1)];
}

/** The same mask as a matrix, from the spans as keys use them. */
function attendedFromKeys({ ids, spans }: PackedBatch): boolean[][] {
  return Array.from(ids, (_, i) => Array.from(ids, (_, j) => i >= j && i < spans[4 * j + 3]));
}

const layouts: [string, (pairs: TokenizedPair[]) => PackedBatch, boolean][] = [
  ['pairs with a shared prompt', packPairs, true],
  ['sequences by themselves', (pairs) => packSequences(pairs.flatMap(sequencesOf)), false],
];

for (const [name, pack, shared] of layouts) {
  describe(`data/packing of ${name}`, () => {
    const pairs = randomPairs(42, shared ? 1 : 2);
    const batch = pack(pairs);
    const sequences = pairs.flatMap(sequencesOf);

    it('predicts each completion token from exactly the tokens before it', () => {
      sequences.forEach(({ prompt, completion }, s) => {
        const [first, end] = batch.sequenceOffsets.subarray(s);
        expect(Array.from(batch.targets.subarray(first, end))).to.deep.equal(completion);
        [...completion].forEach((_, place) => {
          const row = batch.rows[first + place];
          expect(keysOf(batch, row)).to.deep.equal([...prompt, ...completion.slice(0, place)]);
          expect(batch.positions[row]).to.equal(prompt.length + place - 1);
        });
      });
      expect(batch.sequenceOffsets).to.have.length(sequences.length + 1);
    });

    it('has the same mask from the query’s side and from the key’s', () => {
      const fromKeys = attendedFromKeys(batch);
      for (let i = 0; i < batch.ids.length; i++) {
        const [prefixStart, prefixEnd, start] = batch.spans.subarray(4 * i);
        for (let j = 0; j < batch.ids.length; j++) {
          const fromQuery = (j >= prefixStart && j < prefixEnd) || (j >= start && j <= i);
          if (fromQuery !== fromKeys[i][j]) expect.fail(`query ${i}, key ${j}: ${fromQuery}`);
        }
      }
    });

    it('contains no token from which nothing is predicted', () => {
      const prompts = pairs.reduce((sum, { prompt }) => sum + prompt.length * (shared ? 1 : 2), 0);
      const inputs = sequences.reduce((sum, { completion }) => sum + completion.length - 1, prompts);
      expect(batch.ids).to.have.length(inputs);
      expect(batch.positions).to.have.length(inputs);
      expect(batch.spans).to.have.length(4 * inputs);
      expect(batch.rows).to.have.length(batch.targets.length);
    });
  });
}

describe('data/packing', () => {
  it('orders a pair as prompt, chosen, rejected', () => {
    const batch = packPairs([{ prompt: [7, 8], chosen: [1, 2, 3], rejected: [4, 5] }]);
    expect(batch).to.deep.equal({
      ids: Uint32Array.of(7, 8, 1, 2, 4),
      positions: Uint32Array.of(0, 1, 2, 3, 2),
      spans: Uint32Array.from([0, 0, 0, 5, 0, 0, 0, 5, 0, 2, 2, 4, 0, 2, 2, 4, 0, 2, 4, 5]),
      rows: Uint32Array.of(1, 2, 3, 1, 4),
      targets: Uint32Array.of(1, 2, 3, 4, 5),
      sequenceOffsets: Uint32Array.of(0, 3, 5),
      columns: {},
    });
  });

  it('packs a BOS with one-token completions into one token', () => {
    const batch = packPairs([{ prompt: [1], chosen: [5], rejected: [6] }]);
    expect(Array.from(batch.ids)).to.deep.equal([1]);
    expect(Array.from(batch.rows)).to.deep.equal([0, 0]);
    expect(Array.from(batch.spans)).to.deep.equal([0, 0, 0, 1]);
  });

  it('packs a prompt without completion, and nothing at all', () => {
    const batch = packSequences([{ prompt: [3, 4], completion: [] }]);
    expect(Array.from(batch.ids)).to.deep.equal([3, 4]);
    expect(Array.from(batch.sequenceOffsets)).to.deep.equal([0, 0]);
    expect(packPairs([]).ids).to.have.length(0);
  });

  it('refuses an empty prompt', () => {
    expect(() => packPairs([{ prompt: [], chosen: [1], rejected: [2] }])).to.throw(RangeError, 'prompt');
  });

  it('inverts an index into ascending positions', () => {
    const random = new Random(4);
    for (const [length, count] of [
      [0, 0],
      [0, 3],
      [1, 1],
      [123, 6],
      [42, 431],
    ]) {
      const indices = Uint32Array.from({ length }, () => random.below(count));
      const { offsets, entries } = invertIndex(indices, count);
      expect(offsets).to.have.length(count + 1);
      for (let value = 0; value < count; value++) {
        const places = Array.from(indices.keys()).filter((place) => indices[place] === value);
        expect(Array.from(entries.subarray(offsets[value], offsets[value + 1]))).to.deep.equal(places);
      }
    }
    expect(() => invertIndex(Uint32Array.of(3), 3)).to.throw(RangeError, '3');
  });

  it('splits an order into batches, the last with the remaining items', () => {
    const lists = batches(Uint32Array.of(4, 2, 0, 1, 3), 2).map((list) => Array.from(list));
    expect(lists).to.deep.equal([[4, 2], [0, 1], [3]]);
    expect(batches(new Uint32Array(0), 2)).to.deep.equal([]);
    expect(() => batches(new Uint32Array(2), 0)).to.throw(RangeError);
  });
});

describe('data/packing of columns and ends', () => {
  const examples = [
    {
      prompt: [1, 2],
      completions: [[3, 4], [5]],
      columns: { margin: [0.5], advantage: [1, -1], old: [-1, -2, -3] },
    },
    { prompt: [6], completions: [[7], [8]], columns: { margin: [2], advantage: [3, 4], old: [-4, -5] } },
  ];

  it('joins the columns that are read, example after example', () => {
    const reads = { advantage: { per: 'sequence' }, old: { per: 'row' } } as const;
    const { columns } = packExamples(examples, { reads });
    expect(
      Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, [...values]])),
    ).to.deep.equal({
      advantage: [1, -1, 3, 4],
      old: [-1, -2, -3, -4, -5],
    });
    expect(packExamples(examples).columns).to.deep.equal({});
  });

  it('fills in a default, and rejects a column that is missing or has the wrong length', () => {
    const [first] = examples;
    const bare = { prompt: [1], completions: [[2]] };
    const reads = { margin: { per: 'example', default: 0.25 } } as const;
    expect([...packExamples([first, bare], { reads }).columns.margin]).to.deep.equal([0.5, 0.25]);
    expect(() => packExamples([first, bare], { reads: { advantage: { per: 'sequence' } } })).to.throw(
      RangeError,
      'example 2 has no column advantage; give one number for each sequence',
    );
    expect(() => packExamples([first], { reads: { advantage: { per: 'row' } } })).to.throw(
      RangeError,
      'column advantage has 2 numbers; it needs 3, one for each row',
    );
  });

  it('scores every state that may continue, also after an early end', () => {
    const reads = { old: { per: 'row' } } as const;
    const values = [
      [1, 2, 3, 4, 5],
      [6, 7, 8, 9],
    ].map((old) => ({ old }));
    const own = examples.map((example, i) => ({ ...example, columns: values[i] }));
    // Two tokens at most: the first completion leaves no room after it, the others do.
    const { ids, rows, sequenceOffsets, columns } = packExamples(
      [{ ...own[0], columns: { old: [1, 2, 3, 4] } }, own[1]],
      { reads, rows: { states: 2 } },
    );
    expect([...ids]).to.deep.equal([1, 2, 3, 5, 6, 7, 8]);
    expect([...rows]).to.deep.equal([1, 2, 1, 3, 4, 5, 4, 6]);
    expect([...sequenceOffsets]).to.deep.equal([0, 2, 4, 6, 8]);
    expect([...columns.old]).to.deep.equal([1, 2, 3, 4, 6, 7, 8, 9]);
    expect(() => packExamples(own, { reads, rows: { states: 2 } })).to.throw(
      'column old has 5 numbers; it needs 4',
    );
  });

  it('scores the targets that an example names, and computes all of its tokens', () => {
    const named = [
      { prompt: [1, 2], completions: [[3, 4, 5, 6]], targets: [[0, 3]] },
      { prompt: [7], completions: [[8, 9]] },
    ];
    const { ids, rows, targets, sequenceOffsets } = packExamples(named);
    expect([...ids]).to.deep.equal([1, 2, 3, 4, 5, 7, 8]);
    expect([...rows]).to.deep.equal([1, 4, 5, 6]);
    expect([...targets]).to.deep.equal([3, 6, 8, 9]);
    expect([...sequenceOffsets]).to.deep.equal([0, 2, 4]);
    expect(() => packExamples(named, { rows: 'ends' })).to.throw(RangeError, 'its own targets');
  });

  it('scores the last token of each completion if ends are scored', () => {
    const { ids, rows, targets, sequenceOffsets, positions } = packExamples(examples, { rows: 'ends' });
    expect([...ids]).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8]);
    expect([...positions]).to.deep.equal([0, 1, 2, 3, 2, 0, 1, 1]);
    expect([...rows]).to.deep.equal([3, 4, 6, 7]);
    expect([...targets]).to.deep.equal([4, 5, 7, 8]);
    expect([...sequenceOffsets]).to.deep.equal([0, 1, 2, 3, 4]);
    expect(() => packExamples([{ prompt: [1], completions: [[]] }], { rows: 'ends' })).to.throw(
      RangeError,
      'no end',
    );
  });
});
