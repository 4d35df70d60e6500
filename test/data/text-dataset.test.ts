import { expect } from 'chai';
import { readTextRows } from '../../src/data/text-dataset.ts';
import { expectRefused } from '../io/refused.ts';

const FILE = 'texts.jsonl';
const jsonl = (...rows: unknown[]) => rows.map((row) => JSON.stringify(row)).join('\n');
const user = { role: 'user', content: 'hello' };
const assistant = { role: 'assistant', content: 'hi' };

describe('data/text-dataset', () => {
  it('reads texts, conversations, and prompts with completions', () => {
    const rows = readTextRows(
      jsonl(
        { text: 'a', prompt: null },
        { messages: [user, assistant] },
        { prompt: 'a', completion: 'b' },
        { prompt: [user], completion: [assistant] },
      ),
      FILE,
    );
    expect(rows.map(({ where: _, ...row }) => row)).to.deep.equal([
      { completion: 'a' },
      { completion: [user, assistant] },
      { prompt: 'a', completion: 'b' },
      { prompt: [user], completion: [assistant] },
    ]);
    expect(rows[3].where).to.equal('texts.jsonl, line 4');
  });

  it('uses the same columns as TRL if a row has several to learn', () => {
    const completionOf = (row: object) => readTextRows(jsonl(row), FILE)[0];
    const all = { prompt: 'a', completion: 'b', messages: [user], text: 'c' };
    expect(completionOf(all)).to.include({ prompt: 'a', completion: 'b' });
    const { completion } = completionOf({ ...all, completion: null });
    expect(completion).to.deep.equal([user]);
    expect(completionOf({ prompt: 'a', text: 'c' }))
      .to.include({ completion: 'c' })
      .and.not.property('prompt');
  });

  it('keeps tools and variables of the template, as objects or as JSON', () => {
    const chat_template_kwargs = { thinking: false };
    const tools = [{ type: 'function' }];
    for (const row of [
      { tools, chat_template_kwargs },
      { tools: JSON.stringify(tools), chat_template_kwargs: JSON.stringify(chat_template_kwargs) },
    ]) {
      const [read] = readTextRows(jsonl({ messages: [user], ...row }), FILE);
      expect(read).to.deep.include({ tools, chatTemplateKwargs: chat_template_kwargs });
    }
    const [bare] = readTextRows(jsonl({ messages: [user], tools: null, chat_template_kwargs: null }), FILE);
    expect(bare).to.have.all.keys('completion', 'where');
  });

  const refused: [string, Record<string, unknown>, string[]][] = [
    [
      'nothing to learn from',
      { prompt: 'a', answer: 'b' },
      ['no column to learn from', '"prompt", "answer"'],
    ],
    ['an empty text', { text: '' }, ['"text" is empty']],
    ['an empty conversation', { messages: [] }, ['"messages" is empty']],
    ['tools that are not a list', { text: 'a', tools: { type: 'function' } }, ['"tools" is an object']],
    ['tools that are names', { text: 'a', tools: ['f'] }, ['"tools" is a list, not a list of objects']],
    ['tools that are not JSON', { text: 'a', tools: '[' }, ['"tools"', 'not valid JSON']],
    [
      'variables in a list',
      { text: 'a', chat_template_kwargs: [] },
      ['"chat_template_kwargs" must be an object, got a list'],
    ],
    ['a number', { text: 3 }, ['"text" must be text or messages, got a number']],
    [
      'text together with messages',
      { prompt: 'a', completion: [assistant] },
      ['must be both text or both messages'],
    ],
    ['messages that are text', { messages: '[{"role": "user"}]' }, ['"messages" is text, not a list']],
    ['half of a character', { text: 'a\ud83d' }, ['"text" holds \\ud83d', 'half of a character']],
    [
      'half of a character in a message',
      { messages: [{ role: 'user', content: '\udc4d' }] },
      ['message 1 of "messages" holds \\udc4d'],
    ],
    [
      'half of a character in a part of a message',
      { messages: [{ role: 'user', content: [{ type: 'text', text: '\ud83d' }] }] },
      ['message 1 of "messages" holds \\ud83d'],
    ],
    ['a message without content', { messages: [{ role: 'user' }] }, ['message 1 of "messages"', '"content"']],
  ];
  for (const [name, row, parts] of refused) {
    it(`refuses ${name}, naming the line`, () =>
      expectRefused(() => readTextRows(jsonl({ text: 'a' }, row), FILE), 'texts.jsonl, line 2', ...parts));
  }
});
