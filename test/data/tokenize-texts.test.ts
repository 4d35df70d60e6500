/** Texts and labeled completions, compared with the ids and labels that TRL's own trainers compute from them. */
import { expect } from 'chai';
import { readLabelledRows } from '../../src/data/labelled-dataset.ts';
import type { TokenizedExample } from '../../src/data/packing.ts';
import { readTextRows } from '../../src/data/text-dataset.ts';
import { tokenizeCompletions } from '../../src/data/tokenize-completions.ts';
import { type TokenizeTextOptions, tokenizeTexts } from '../../src/data/tokenize-texts.ts';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memoryFiles } from '../../src/io/files.ts';
import pairs from '../fixtures/trl-pairs.json' with { type: 'json' };
import trl from '../fixtures/trl-texts.json' with { type: 'json' };
import { expectRefused } from '../io/refused.ts';

const tokenizer = Tokenizer.fromFiles(
  memoryFiles(
    {
      'tokenizer.json': JSON.stringify(pairs.tokenizer),
      'tokenizer_config.json': JSON.stringify(pairs.tokenizerConfig),
    },
    'tiny',
  ),
);
const jsonl = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).join('\n');
const rowsOf = (...rows: unknown[]) => readTextRows(jsonl(rows), 'texts.jsonl');
const prompted = trl.texts.filter((row) => 'prompt' in row);
const whole = trl.texts.filter((row) => !('prompt' in row));

/**
 * Ids and labels as in TRL; the first token of a whole text has nothing before it to be predicted from, so here it is the
 * prompt.
 */
function inTrlsForm({ prompt, completions: [completion] }: TokenizedExample, all: boolean) {
  const ids = [...prompt, ...completion];
  return { ids, labels: ids.map((id, i) => (all || i >= prompt.length ? id : -100)) };
}

async function expectTrl(
  rows: readonly unknown[],
  expected: { ids: number[]; labels: number[] }[],
  all: boolean,
  options?: TokenizeTextOptions,
): Promise<void> {
  const { examples } = tokenizeTexts(rowsOf(...rows), await tokenizer, options);
  expect(examples.map((example) => inTrlsForm(example, all))).to.deep.equal(expected);
  if (all) for (const { prompt } of examples) expect(prompt).to.have.length(1);
}

describe('data/tokenize-texts', () => {
  it('gives TRL’s ids for texts and conversations, all of them learned', () =>
    expectTrl(whole, trl.sft.slice(0, whole.length), true));

  it('gives TRL’s ids and labels for prompts and completions: the completion is learned', () =>
    expectTrl(prompted, trl.sft.slice(whole.length), false));

  it('passes the same inputs to templates as TRL: tools, extra variables, calls without content', async () => {
    const { template: chat_template, rows, sft } = trl.calling;
    const files = {
      'tokenizer.json': JSON.stringify(pairs.tokenizer),
      'tokenizer_config.json': JSON.stringify({ ...pairs.tokenizerConfig, chat_template }),
    };
    const calling = await Tokenizer.fromFiles(memoryFiles(files, 'tiny'));
    for (const [i, row] of rows.entries()) {
      const { examples } = tokenizeTexts(rowsOf(row), calling);
      const made = inTrlsForm(examples[0], !('prompt' in row));
      expect(made, JSON.stringify(row)).to.deep.equal(sft[i]);
    }
  });

  it('refuses a row with a token that the model has no embedding for', async () => {
    const rows = rowsOf({ text: 'the end' });
    const known = await tokenizer;
    expect(tokenizeTexts(rows, known, { vocabSize: known.vocabSize }).examples).to.have.length(1);
    for (const again of [rows, rowsOf({ prompt: 'a', completion: 'the end' })]) {
      await expectRefused(
        () => tokenizeTexts(again, known, { vocabSize: 60 }),
        'texts.jsonl, line 1',
        'embeddings for 60',
      );
    }
  });

  it('learns prompts too if requested', () =>
    expectTrl(prompted, trl.sftWhole, true, { completionOnlyLoss: false }));

  it('cuts the end, like TRL, with a notice', async () => {
    const { short: maxLength, sftShort } = trl;
    await expectTrl([prompted[0]], [sftShort[0]], false, { maxLength });
    await expectTrl([whole[0]], [sftShort[1]], true, { maxLength });
    for (const row of [prompted[0], whole[0]]) {
      const { notices } = tokenizeTexts(rowsOf(row), await tokenizer, { maxLength });
      expect(notices.join()).to.match(/Row 1: longer than max_length 6; the end .*is cut/);
    }
  });

  it('refuses rows of two kinds, completionOnlyLoss without prompts, and a text of one token', async () => {
    const made = await tokenizer;
    const mixed = rowsOf(prompted[0], whole[0]);
    await expectRefused(
      () => tokenizeTexts(mixed, made),
      'texts.jsonl, line 2',
      'has no prompt, but other rows do',
    );
    await expectRefused(
      () => tokenizeTexts(rowsOf(whole[0]), made, { completionOnlyLoss: true }),
      'settings',
      'no row has a prompt',
    );
    const template = { ...pairs.tokenizer, post_processor: null };
    const bare = await Tokenizer.fromFiles(
      memoryFiles(
        {
          'tokenizer.json': JSON.stringify(template),
          'tokenizer_config.json': JSON.stringify(pairs.tokenizerConfig),
        },
        'bare',
      ),
    );
    await expectRefused(() => tokenizeTexts(rowsOf({ text: '</s>' }), bare), 'line 1', 'no token to predict');
  });
});

describe('data/tokenize-texts with assistantOnlyLoss', () => {
  const letters = 'abcdefgh'.split('');
  /** One token per letter, and an end token. */
  const open = (template: string) =>
    Tokenizer.fromFiles(
      memoryFiles(
        {
          'tokenizer.json': JSON.stringify({
            model: {
              type: 'BPE',
              vocab: Object.fromEntries(letters.map((letter, i) => [letter, i])),
              merges: [],
            },
            added_tokens: [{ id: 8, content: '.', special: true }],
          }),
          'tokenizer_config.json': '{"eos_token":"."}',
          'chat_template.jinja': template,
        },
        'letters',
      ),
    );
  const TURNS =
    "{% for m in messages %}{% if m.role == 'assistant' %}h{% generation %}{{ m.content }}.{% endgeneration %}" +
    '{% else %}{{ m.content }}{% endif %}{% endfor %}';
  const user = (content: string) => ({ role: 'user', content });
  const assistant = (content: string) => ({ role: 'assistant', content });
  const all = { assistantOnlyLoss: true };

  it('learns each turn of the assistant, with everything before the first as the prompt', async () => {
    const made = await open(TURNS);
    const [both, one] = [
      { messages: [user('a'), assistant('bc'), user('d'), assistant('e')] },
      { messages: [assistant('abc')] },
    ];
    const { examples, notices } = tokenizeTexts(rowsOf(both, one), made, all);
    // a h b c . d h e .
    expect(examples[0]).to.deep.equal({
      prompt: [0, 7],
      completions: [[1, 2, 8, 3, 7, 4, 8]],
      targets: [[0, 1, 2, 5, 6]],
    });
    expect(examples[1]).to.deep.equal({ prompt: [7], completions: [[0, 1, 2, 8]], targets: [[0, 1, 2, 3]] });
    expect(notices).to.deep.equal([]);
    const cut = tokenizeTexts(rowsOf(both), made, { ...all, maxLength: 7 });
    expect(cut.examples[0]?.targets).to.deep.equal([[0, 1, 2]]);
    expect(cut.notices).to.deep.equal(['Row 1: longer than max_length 7; the end is cut.']);
  });

  it('excludes a turn of the assistant in the prompt, unless prompts are learned', async () => {
    const made = await open(TURNS);
    const row = { prompt: [user('a'), assistant('b'), user('c')], completion: [assistant('d')] };
    const learned = (options: TokenizeTextOptions) =>
      tokenizeTexts(rowsOf(row), made, { ...all, ...options }).examples[0];
    // a h b . c h d .
    expect(learned({})).to.deep.equal({
      prompt: [0, 7, 1, 8, 2, 7],
      completions: [[3, 8]],
      targets: [[0, 1]],
    });
    expect(learned({ completionOnlyLoss: false })?.targets).to.deep.equal([[0, 1, 4, 5]]);
  });

  it('names a row with nothing to learn, and a template that does not mark the assistant', async () => {
    const made = await open(TURNS);
    const fine = { messages: [user('a'), assistant('b')] };
    const refused = (row: unknown, ...parts: string[]) =>
      expectRefused(
        () => tokenizeTexts(rowsOf(fine, row), made, { ...all, maxLength: 4 }),
        'texts.jsonl, line 2',
        ...parts,
      );
    await refused({ messages: [user('a')] }, 'no token of the assistant', 'turn of the assistant');
    await refused({ messages: [user('abcd'), assistant('b')] }, 'within maxLength 4', 'Raise it');
    await refused({ text: 'abc' }, 'is text', 'assistantOnlyLoss');
    const bare = await open('{% for m in messages %}{{ m.content }}{% endfor %}');
    const run = () => tokenizeTexts(rowsOf(fine), bare, all);
    await expectRefused(run, 'line 1', 'no {% generation %}', 'chat_template.jinja');
  });

  it('reports that the model may not learn to stop', async () => {
    const outside = TURNS.replace('.{% endgeneration %}', '{% endgeneration %}.');
    const { notices } = tokenizeTexts(
      rowsOf({ messages: [user('a'), assistant('b')] }),
      await open(outside),
      all,
    );
    expect(notices.join()).to.include('may not learn to stop');
  });
});

describe('data/tokenize-completions of labeled rows', () => {
  for (const [name, rows, expected] of [
    ['text', trl.labelled, trl.kto],
    ['messages', trl.chats, trl.ktoChats],
  ] as const) {
    it(`gives TRL’s ids for ${name}`, async () => {
      const read = readLabelledRows(jsonl(rows), 'labels.jsonl').map(({ prompt, completion }) => ({
        prompt,
        completions: { completion },
      }));
      const { examples } = tokenizeCompletions(read, await tokenizer);
      const ids = examples.map(({ prompt, completions: [completion] }) => ({ prompt, completion }));
      expect(ids).to.deep.equal(expected.map(({ prompt, completion }) => ({ prompt, completion })));
    });
  }
});
