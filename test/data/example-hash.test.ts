import { expect } from 'chai';
import { hashOfExamples } from '../../src/data/example-hash.ts';
import type { TokenizedExample } from '../../src/data/packing.ts';
import { TokenStore } from '../../src/data/token-ids.ts';

const EXAMPLES: readonly TokenizedExample[] = [
  { prompt: [1, 2], completions: [[3], [4, 5]] },
  { prompt: [6], completions: [[7, 8, 9]], targets: [[0, 2]], columns: { desirable: [1] } },
];

describe('data/example-hash', () => {
  it('is equal for lists and for typed ids, over many pieces', async () => {
    const many = Array.from({ length: 40_000 }, (_, i): TokenizedExample => {
      return {
        prompt: [i, 1],
        completions: [
          [2, i],
          [3, 4, 5, i % 7],
        ],
      };
    });
    const { keep } = new TokenStore();
    const typed = many.map(({ prompt, completions }) => ({
      prompt: keep(prompt),
      completions: completions.map(keep),
    }));
    expect(await hashOfExamples(typed)).to.equal(await hashOfExamples(many));
    typed[39_999]?.completions[1]?.fill?.(9);
    expect(await hashOfExamples(typed)).not.to.equal(await hashOfExamples(many));
  });

  it('hashes a list that is longer than a piece', async () => {
    const long = (last: number) => [{ prompt: [1], completions: [[...new Array(600_000).fill(2), last]] }];
    expect(await hashOfExamples(long(3))).not.to.equal(await hashOfExamples(long(4)));
  });

  it('differs for every difference', async () => {
    const [pair, marked] = EXAMPLES as [TokenizedExample, TokenizedExample];
    const others: TokenizedExample[][] = [
      [...EXAMPLES],
      [marked, pair],
      [pair],
      [
        {
          ...pair,
          prompt: [1],
          completions: [
            [2, 3],
            [4, 5],
          ],
        },
        marked,
      ],
      [{ ...pair, completions: [[3, 4], [5]] }, marked],
      [{ prompt: [1, 2], completions: [[3]] }, { prompt: [4, 5], completions: [] }, marked],
      [pair, { ...marked, targets: [[0, 1]] }],
      [pair, { ...marked, columns: { desirable: [0] } }],
      [pair, { ...marked, columns: { undesirable: [1] } }],
      [pair, { prompt: [6], completions: [[7, 8, 9]], targets: [[0, 2]] }],
    ];
    const hashes = await Promise.all(others.map(hashOfExamples));
    expect(new Set(hashes)).to.have.property('size', others.length);
    expect(await hashOfExamples(EXAMPLES)).to.equal(hashes[0]);
  });
});
