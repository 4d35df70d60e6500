import { expect } from 'chai';
import { readPreferenceRows } from '../../src/data/preference-dataset.ts';
import { tokenizePairs } from '../../src/data/tokenize-completions.ts';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memoryFiles } from '../../src/io/files.ts';
import trl from '../fixtures/trl-pairs.json' with { type: 'json' };
import { expectRefused } from '../io/refused.ts';

/** The fixture's tokenizer, with parts of it changed. */
function tiny(
  tokenizer: Record<string, unknown> = {},
  config: Record<string, unknown> = {},
): Promise<Tokenizer> {
  const files = {
    'tokenizer.json': JSON.stringify({ ...trl.tokenizer, ...tokenizer }),
    'tokenizer_config.json': JSON.stringify({ ...trl.tokenizerConfig, ...config }),
  };
  return Tokenizer.fromFiles(memoryFiles(files, 'tiny'));
}

const rowsOf = (...rows: unknown[]) =>
  readPreferenceRows(rows.map((row) => JSON.stringify(row)).join('\n'), 'pairs.jsonl');
const withoutBos = { post_processor: null };

describe('data/tokenize-completions', () => {
  it('gives TRL’s token ids, text and conversations', async () => {
    expect(tokenizePairs(rowsOf(...trl.rows), await tiny()).pairs).to.deep.equal(trl.ids);
  });

  it('reports rows that are tokenized differently, cut or equal', async () => {
    const { notices } = tokenizePairs(rowsOf(...trl.rows), await tiny(), { maxLength: 10_000 });
    const shifted = trl.shifted.flatMap((is, index) => (is ? [index + 1] : []));
    expect(notices[0]).to.match(
      new RegExp(`^Rows ${shifted.join(', ')}: the prompt is tokenized differently`),
    );
    expect(notices[1]).to.equal(
      `In 3 of ${trl.rows.length} pairs chosen and rejected are the same tokens, first in pairs.jsonl, line 8. Such pairs have no effect.`,
    );
    expect(notices).to.have.length(2);
  });

  it('cuts the completion’s end, never the prompt', async () => {
    const tokenizer = await tiny();
    const rows = rowsOf({ prompt: 'the sky', chosen: ' is blue.', rejected: ' is red.' });
    const { pairs, notices } = tokenizePairs(rows, tokenizer, { maxLength: 5 });
    expect(pairs).to.deep.equal([{ prompt: [1, 67, 72], chosen: [69, 5], rejected: [69, 5] }]);
    expect(notices[0]).to.equal('Row 1: longer than max_length 5; the end of the completion is cut.');
    expect(tokenizePairs(rows, tokenizer, { maxLength: 10 }).notices).to.deep.equal([]);
  });

  it('refuses a prompt that fills max_length, naming its row', async () => {
    const rows = rowsOf(
      { prompt: '', chosen: 'b', rejected: 'c' },
      { prompt: 'the sky', chosen: ' is', rejected: ' a' },
    );
    const tokenizer = await tiny();
    await expectRefused(
      () => tokenizePairs(rows, tokenizer, { maxLength: 3 }),
      'pairs.jsonl, line 2',
      '3 tokens',
      'maxLength 3',
    );
    await expectRefused(
      () => tokenizePairs([{ prompt: 'the sky', chosen: 'a', rejected: 'b' }], tokenizer, { maxLength: 3 }),
      'row 1',
    );
  });

  it('rejects an empty prompt if no BOS is added', async () => {
    const tokenizer = await tiny(withoutBos);
    await expectRefused(
      () => tokenizePairs(rowsOf({ prompt: '', chosen: 'a', rejected: 'b' }), tokenizer),
      'line 1',
      'no token',
    );
  });

  it('ends a text with one EOS, even if the tokenizer adds its own', async () => {
    const both = { SpecialToken: { id: '</s>', type_id: 0 } };
    const template = trl.tokenizer.post_processor;
    const post_processor = {
      ...template,
      single: [...template.single, both],
      special_tokens: { ...template.special_tokens, '</s>': { id: '</s>', ids: [2], tokens: ['</s>'] } },
    };
    const tokenizer = await tiny({ post_processor });
    expect(tokenizer.addsEos).to.equal(true);
    const text = trl.rows.flatMap((row, index) => (typeof row.chosen === 'string' ? [index] : []));
    const { pairs } = tokenizePairs(rowsOf(...text.map((index) => trl.rows[index])), tokenizer);
    expect(pairs).to.deep.equal(text.map((index) => trl.ids[index]));
  });

  it('reports a prompt that writes an additional BOS', async () => {
    const { notices } = tokenizePairs(
      rowsOf({ prompt: '<s>the', chosen: ' sky', rejected: ' thing' }),
      await tiny(),
    );
    expect(notices.join()).to.include('Row 1: begins with BOS twice');
  });

  it('refuses a tokenizer without a usable EOS, and messages without a template', async () => {
    const text = rowsOf({ prompt: 'a', chosen: 'b', rejected: 'c' });
    const none = await tiny({}, { eos_token: null });
    await expectRefused(() => tokenizePairs(text, none), 'line 1', 'no EOS token', 'tokenizer_config.json');
    const merged = await tiny({}, { eos_token: { content: 'u', single_word: true } });
    await expectRefused(
      () => tokenizePairs(rowsOf({ prompt: 'a', chosen: 'bl', rejected: 'c' }), merged),
      'line 1',
      'its own EOS token',
    );
    const chat = rowsOf({
      chosen: [{ role: 'user', content: 'a' }],
      rejected: [{ role: 'user', content: 'b' }],
    });
    const plain = await tiny({}, { chat_template: null });
    await expectRefused(
      () => tokenizePairs(chat, plain),
      'line 1',
      'no chat template',
      'chat_template.jinja',
    );
  });
});
