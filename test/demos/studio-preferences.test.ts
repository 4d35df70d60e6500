/** Judgments of the demo `studio`: what each verdict teaches, the held-out split, counts and warnings. */
import { expect } from 'chai';
import type { tokenizePairs } from 'webalign/data';
import { countJudgments, statusText } from '../../demos/studio/preferences/counts.ts';
import { type Judgment, parseTags, VERDICTS, type Verdict } from '../../demos/studio/preferences/judgment.ts';
import { labelRows, pairRows, textRows } from '../../demos/studio/preferences/rows.ts';
import { isHeldOut, split } from '../../demos/studio/preferences/split.ts';
import { signTest, type Warning, warnings } from '../../demos/studio/preferences/warnings.ts';
import { CHAT, draft, judgment } from './studio-judgments.ts';

const DRAFTS = [draft('A'), draft('B', false)];
const EDIT = { draft: 0, text: 'E', ended: true } as const;
const of = (verdict: Verdict) =>
  judgment(verdict, {
    drafts: DRAFTS.slice(0, VERDICTS[verdict].drafts),
    ...(verdict === 'edit' && { edit: EDIT }),
  });

/** What every verdict makes: the pair, and texts with their labels. */
const TEACHES: Readonly<Record<Verdict, { pair?: string; labels: string[] }>> = {
  first: { pair: 'A > B', labels: ['A good', 'B bad'] },
  second: { pair: 'B > A', labels: ['B good', 'A bad'] },
  edit: { pair: 'E > B', labels: ['E good', 'B bad'] },
  tie: { labels: [] },
  'both-bad': { labels: ['A bad', 'B bad'] },
  up: { labels: ['A good'] },
  down: { labels: ['A bad'] },
};

describe('rows of judgments', () => {
  for (const [verdict, { pair, labels }] of Object.entries(TEACHES)) {
    it(`match the verdict "${verdict}"`, () => {
      const one = of(verdict as Verdict);
      expect(pairRows([one]).map(({ chosen, rejected }) => `${chosen} > ${rejected}`)).to.deep.equal(
        pair ? [pair] : [],
      );
      const rows = labelRows([one]).map(({ completion, label }) => `${completion} ${label ? 'good' : 'bad'}`);
      expect(rows).to.deep.equal(labels);
      const good = labels.filter((label) => label.endsWith('good')).map((label) => label[0]);
      expect(textRows([one]).map(({ completion }) => completion)).to.deep.equal(good);
    });
  }

  it('mark completions without an end token', () => {
    expect(pairRows([of('second')])[0]).to.include({ chosenEnded: false, rejectedEnded: true });
    expect(pairRows([of('edit')])[0]).to.include({ chosenEnded: true, rejectedEnded: false });
    expect(labelRows([of('both-bad')]).map(({ ended }) => ended)).to.deep.equal([true, false]);
  });

  it('omit picks from the labels on request', () => {
    const rows = labelRows([of('first'), of('edit'), of('up')], { picks: false });
    expect(rows.map(({ completion }) => completion)).to.deep.equal(['A']);
  });

  it('of a chat have the completion as a message', () => {
    const [row] = pairRows([judgment('first', { prompt: CHAT, drafts: DRAFTS })]);
    expect(row?.prompt).to.deep.equal(CHAT);
    expect(row?.rejected).to.deep.equal([{ role: 'assistant', content: 'B' }]);
  });

  it('are valid rows of the library', () => {
    const row: Parameters<typeof tokenizePairs>[0] = pairRows([
      of('first'),
      judgment('first', { prompt: CHAT }),
    ]);
    expect(row).to.have.length(2);
  });

  it('omit empty completions, and pairs with an empty one', () => {
    const drafts = [draft(''), draft('B')];
    const empty = (['first', 'second', 'both-bad', 'up'] as const).map((verdict) =>
      judgment(verdict, { drafts: drafts.slice(0, VERDICTS[verdict].drafts) }),
    );
    expect(pairRows(empty)).to.deep.equal([]);
    expect(labelRows(empty).map(({ completion, label }) => [completion, label])).to.deep.equal([
      ['B', false],
    ]);
  });
});

describe('the held-out split', () => {
  const many = Array.from({ length: 2000 }, (_, i) => judgment('first', { prompt: `Prompt ${i}` }));

  it('splits by prompt, and is stable when judgments are added', () => {
    const { train, heldOut } = split(many);
    // Four standard deviations of 2000 throws at 0.2.
    expect(heldOut.length).to.be.within(400 - 72, 400 + 72);
    expect(train.length + heldOut.length).to.equal(many.length);
    expect(split(many.slice(0, 100)).heldOut).to.deep.equal(
      heldOut.filter((each) => many.indexOf(each) < 100),
    );
  });

  it('keeps judgments of one prompt together, whatever its white space', () => {
    for (const [i, { prompt }] of many.entries()) {
      if (i % 20 === 0)
        expect(isHeldOut(`  ${(prompt as string).replace(' ', '\n ')} `)).to.equal(isHeldOut(prompt));
    }
  });

  it('keeps all turns of a conversation together, under any system prompt', () => {
    for (let i = 0; i < 40; i++) {
      const first = { role: 'user', content: `Question ${i}` };
      const later = [
        { role: 'system', content: `System ${i}` },
        first,
        { role: 'assistant', content: 'Answer' },
        { role: 'user', content: 'And why?' },
      ];
      expect(isHeldOut(later)).to.equal(isHeldOut([first]));
      expect(isHeldOut([first])).to.equal(isHeldOut(first.content));
    }
  });

  it('has the requested fraction', () => {
    expect(split(many, 0).heldOut).to.deep.equal([]);
    expect(split(many, 1).train).to.deep.equal([]);
    const half = new Set(split(many, 0.5).heldOut);
    expect(split(many, 0.2).heldOut.every((each) => half.has(each))).to.equal(true);
  });
});

describe('counts of judgments', () => {
  it('count picks and edits as preferences, and other verdicts separately', () => {
    const all = (Object.keys(VERDICTS) as Verdict[]).map(of);
    const counts = countJudgments([...all, of('first')]);
    const expected = { preferences: 4, ties: 1, bothBad: 1, up: 1, down: 1, total: 8 };
    expect(counts).to.deep.equal(expected);
    expect(statusText(counts)).to.equal('4 preferences · 1 tie · 1 both bad · 2 thumbs');
  });

  it('say "N preferences" whatever N is', () => {
    expect(statusText(countJudgments([]))).to.equal('0 preferences');
    expect(statusText(countJudgments([of('edit')]))).to.equal('1 preference');
  });
});

describe('tags', () => {
  it('are trimmed, without empty ones and duplicates', () => {
    expect(parseTags(' tone, , facts,tone ')).to.deep.equal(['tone', 'facts']);
  });
});

describe('warnings about judgments', () => {
  const kinds = (all: Judgment[]) => warnings(all).map(({ kind }) => kind);
  const find = (all: Judgment[], kind: Warning['kind']) => warnings(all).find((each) => each.kind === kind);
  /** Picks by side: `A` the first, `B` the second; the better draft is as long as the other. */
  const picks = (sides: string, changes: Partial<Judgment> = {}) =>
    [...sides].map((side, i) =>
      judgment(side === 'A' ? 'first' : 'second', { drafts: [draft(`a${i}`), draft(`b${i}`)], ...changes }),
    );

  it('do not appear without judgments, or for fifty balanced ones', () => {
    expect(warnings([])).to.deep.equal([]);
    expect(warnings(picks('AB'.repeat(25)))).to.deep.equal([]);
  });

  it('report that there are few', () => {
    expect(find(picks('AB'), 'few')?.text).to.match(/^2 judgments to learn from/);
    expect(find([of('tie')], 'few')?.text).to.match(/^0 judgments to learn from/);
  });

  it('report duplicates, in either order of the drafts', () => {
    const first = judgment('first', { prompt: 'P', drafts: [draft('x'), draft('y')] });
    const again = judgment('second', { prompt: 'P', drafts: [draft('y'), draft('x')] });
    expect(find([first, again], 'duplicate')?.ids).to.deep.equal([again.id]);
    expect(find([first, { ...again, prompt: 'Q' }], 'duplicate')).to.equal(undefined);
    const other = judgment('first', { prompt: 'P', drafts: [draft('y'), draft('x')] });
    expect(kinds([first, other]))
      .to.include('contradiction')
      .and.not.include('duplicate');
    expect(find([first, again, other], 'contradiction')?.ids).to.have.length(3);
  });

  it('report empty drafts', () => {
    const empty = judgment('first', { drafts: [draft(''), draft('B')] });
    expect(find([empty, of('first')], 'empty')?.ids).to.deep.equal([empty.id]);
  });

  it('report labels that are all equal', () => {
    const some = (good: number, bad: number) =>
      ['up', 'down'].flatMap((verdict, i) =>
        Array.from({ length: [good, bad][i] }, () => judgment(verdict as Verdict)),
      );
    expect(find(some(19, 1), 'one-sided')?.text).to.match(/^19 of 20 .*that you dislike\.$/);
    expect(find(some(0, 10), 'one-sided')?.text).to.match(/^0 of 10 .*that you like\.$/);
    expect(kinds(some(18, 2))).to.not.include('one-sided');
    expect(kinds(some(9, 0))).to.not.include('one-sided');
  });

  it('report a side that is clicked more often than by chance, for own clicks only', () => {
    expect(find(picks('B'.repeat(8)), 'side')?.text).to.match(/^You chose the second draft in 8 of 8/);
    expect(kinds(picks('A'.repeat(7)))).to.not.include('side');
    expect(kinds(picks('A'.repeat(30), { origin: 'theirs.jsonl' }))).to.not.include('side');
    const edits = Array.from({ length: 8 }, () => of('edit'));
    expect(find(edits, 'side')?.text).to.match(/^You chose the first draft in 8 of 8/);
  });

  it('report a length that wins more often than by chance', () => {
    const drafts = [draft('long text'), draft('short')];
    const longer = Array.from({ length: 8 }, () => judgment('first', { drafts }));
    expect(find(longer, 'longer')?.text).to.match(/^The longer draft won 8 of 8/);
    const shorter = Array.from({ length: 8 }, () => judgment('second', { drafts }));
    expect(find(shorter, 'longer')?.text).to.match(/^The shorter draft won 8 of 8/);
  });
});

describe('the sign test', () => {
  it('is the exact two-sided binomial test', () => {
    // 2 * sum(comb(n, i) for i <= k) / 2**n in fractions. Logarithms add up roundings of 1e-16 over 4,901 terms.
    const known: [number, number, number][] = [
      [0, 0, 1],
      [5, 10, 1],
      [8, 8, 0.0078125],
      [2, 10, 0.109375],
      [35, 50, 0.006600447966810918],
      [4900, 10_000, 0.04658552770494739],
    ];
    for (const [k, n, p] of known) expect(signTest(k, n), `${k} of ${n}`).to.be.closeTo(p, 1e-12);
  });
});
