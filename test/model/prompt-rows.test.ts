/** The cache rows of prompts: none overlap, each prompt gets some in its order, and released ones serve later prompts. */
import { expect } from 'chai';
import { type PromptChunk, PromptRows } from '../../src/model/prompt-rows.ts';
import { random } from '../reference/compare.ts';

describe('prompt-rows', () => {
  it('gives all prompts rows at once if they fit', () => {
    const rows = new PromptRows([3, 1, 4], 2, 8, 4);
    expect(rows.admit(true)).to.deep.equal([{ first: 0, count: 3, from: 0 }]);
    expect(rows.ready).to.equal(6);
    expect(rows.admit(true)).to.deep.equal([]);
  });

  it('waits until enough rows are free, unless it is urgent', () => {
    const rows = new PromptRows([2, 1, 13, 2], 1, 16, 1);
    expect(rows.admit(true)).to.deep.equal([{ first: 0, count: 3, from: 0 }]);
    rows.end(1);
    expect(rows.admit(false)).to.deep.equal([]);
    rows.end(0);
    expect(rows.admit(false)).to.deep.equal([{ first: 3, count: 1, from: 0 }]);
  });

  for (const alignment of [1, 4]) {
    for (const copies of [1, 3]) {
      it(`never overlap, whatever ends first: ${copies} sequences per prompt, multiples of ${alignment}`, () => {
        const { int } = random(alignment + copies);
        const lengths = Array.from({ length: 60 }, () => 1 + int(9));
        const rows = new PromptRows(lengths, copies, 27, alignment);
        const held = new Map<number, { from: number; end: number; open: number[] }>();
        const seen: number[] = [];
        const place = ({ first, count, from }: PromptChunk) => {
          expect(from % alignment).to.equal(0);
          let at = from;
          for (let p = first; p < first + count; p++) {
            const end = at + lengths[p];
            for (const other of held.values()) expect(end <= other.from || at >= other.end).to.equal(true);
            expect(end).to.be.at.most(27);
            held.set(p, { from: at, end, open: Array.from({ length: copies }, (_, i) => p * copies + i) });
            seen.push(p);
            at = end;
          }
        };
        while (seen.length < lengths.length || held.size > 0) {
          rows.admit(int(2) === 0 || held.size === 0).forEach(place);
          expect(held.size).to.be.above(0);
          expect(rows.ready).to.equal(seen.length * copies);
          const [p, { open }] = [...held][int(held.size)] as [number, { open: number[] }];
          rows.end(open.splice(int(open.length), 1)[0]);
          if (open.length === 0) held.delete(p);
        }
        expect(seen).to.deep.equal(lengths.map((_, i) => i));
      });
    }
  }
});
