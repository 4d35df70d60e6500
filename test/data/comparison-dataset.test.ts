/** Comparisons for reward models: rows in every form, whole sides as TRL tokenizes them, the token that is scored, and bad rows. */
import { expect } from 'chai';
import {
  COMPARISONS,
  type Comparison,
  toComparison,
  tokenizeComparisons,
} from '../../src/data/comparison-dataset.ts';
import { upToScored } from '../../src/data/scored-token.ts';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memoryFiles } from '../../src/io/files.ts';
import trl from '../fixtures/trl-pairs.json' with { type: 'json' };
import { expectRefused } from '../io/refused.ts';

const TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}";
const EVERY = { maxLength: 64, padTokenId: undefined, checkIds: () => undefined };

describe('data/comparison-dataset', () => {
  let tokenizer: Tokenizer;
  before(async () => {
    const text = (value: object) => new TextEncoder().encode(JSON.stringify(value));
    const config = { ...trl.tokenizerConfig, chat_template: TEMPLATE };
    const files = { 'tokenizer.json': text(trl.tokenizer), 'tokenizer_config.json': text(config) };
    tokenizer = await Tokenizer.fromFiles(memoryFiles(files, 'tokenizer'));
  });

  const sides = (rows: readonly Comparison[], more: object = {}) =>
    tokenizeComparisons(rows, { ...EVERY, tokenizer, ...more }).examples.map(({ prompt, completions }) =>
      completions.map((completion) => [...prompt, ...completion]),
    );
  const ended = (text: string) => tokenizer.encode(`${text}${tokenizer.eosToken}`);

  it('joins prompt and completion as text, ends both with EOS, and shares their prefix', () => {
    const explicit = { prompt: 'the sky', chosen: ' is blue', rejected: ' is red.' };
    const expected = [ended('the sky is blue'), ended('the sky is red.')];
    expect(sides([explicit])).to.deep.equal([expected]);
    const implicit = toComparison({ chosen: 'the sky is blue', rejected: 'the sky is red.' }, 'row');
    expect(sides([implicit])).to.deep.equal([expected]);
    // A text that already ends with the end token gets no second one.
    const { eosToken } = tokenizer;
    expect(sides([{ ...explicit, chosen: ` is blue${eosToken}` }])).to.deep.equal([expected]);
    const [example] = tokenizeComparisons([explicit], { ...EVERY, tokenizer }).examples;
    expect(example.prompt.length).to.be.above(0);
    expect(example.completions[0][0]).not.to.equal(example.completions[1][0]);
    expect(example.columns).to.deep.equal({ margin: [0] });
  });

  it('renders messages with the template, and keeps ids unchanged, with a margin', () => {
    const says = (content: string) => [{ role: 'assistant', content }];
    const chat = {
      prompt: [{ role: 'user', content: 'the sky' }],
      chosen: says(' is blue'),
      rejected: says(' is red.'),
    };
    const whole = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
    expect(sides([chat])).to.deep.equal([[whole('the sky is blue'), whole('the sky is red.')]]);
    const ids = toComparison({ chosen_ids: [1, 2, 3], rejected_ids: [4, 2], margin: 0.5 }, 'row');
    const { examples } = tokenizeComparisons([ids], { ...EVERY, tokenizer: undefined });
    // The sides have no tokens in common, so no prompt is shared.
    expect(examples).to.deep.equal([
      {
        prompt: [],
        completions: [
          [1, 2, 3],
          [4, 2],
        ],
        columns: { margin: [0.5] },
      },
    ]);
    expect(COMPARISONS.needed).to.deep.include(['chosen_ids', 'rejected_ids']);
  });

  it('ends at the scored token, and drops rows that are too long', () => {
    const rows = [
      { prompt: [1, 2], chosen: [3, 9, 9], rejected: [3, 4, 9] },
      { prompt: [], chosen: [5, 6, 7, 8], rejected: [5] },
    ];
    const { examples, notices } = tokenizeComparisons(rows, {
      ...EVERY,
      tokenizer,
      padTokenId: 9,
      maxLength: 5,
    });
    expect(examples.map(({ prompt, completions }) => [prompt, completions])).to.deep.equal([
      [
        [1, 2],
        [[3], [3, 4]],
      ],
      [[], [[5, 6, 7, 8], [5]]],
    ]);
    expect(notices).to.deep.equal([]);
    const shorter = tokenizeComparisons(rows, { ...EVERY, tokenizer, maxLength: 4 });
    expect(shorter.examples).to.have.length(1);
    expect(shorter.notices.join()).to.include('Row 1').and.include('dropped');
    const alike = tokenizeComparisons([{ prompt: [1], chosen: [2, 9], rejected: [2] }], {
      ...EVERY,
      tokenizer,
      padTokenId: 9,
    });
    expect(alike.notices.join()).to.include('Such pairs have no effect');
  });

  it('finds the token as transformers does', () => {
    const at = (prompt: number[], completion: number[]) => {
      const cut = upToScored({ prompt, completion }, 9);
      expect(cut.completion).not.to.deep.equal([]);
      return [...cut.prompt, ...cut.completion];
    };
    expect(at([1], [2, 9, 3, 9])).to.deep.equal([1, 2, 9, 3]);
    expect(at([1, 2, 9], [9, 9])).to.deep.equal([1, 2]);
    expect(at([9, 9], [9])).to.deep.equal([9]);
    expect(at([], [9, 9])).to.deep.equal([9]);
    expect(upToScored({ prompt: [1], completion: [9] })).to.deep.equal({ prompt: [1], completion: [9] });
  });

  it('rejects invalid rows', async () => {
    await expectRefused(
      () => toComparison({ chosen: 'a', rejected: 'b', margin: '1' }, 'row 3'),
      'row 3',
      'margin',
    );
    await expectRefused(
      () => toComparison({ chosen_ids: [], rejected_ids: [1] }, 'row 3'),
      'row 3',
      'chosen_ids',
    );
    await expectRefused(() => toComparison({ chosen: 'a' }, 'row 3'), 'row 3', 'rejected');
    const long = [{ prompt: [1], chosen: [2, 3], rejected: [4] }];
    await expectRefused(
      () => tokenizeComparisons(long, { ...EVERY, tokenizer, maxLength: 2 }),
      'maxLength',
      '2 tokens',
    );
  });
});
