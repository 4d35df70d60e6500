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

  const refused: [string, Record<string, unknown>, string[]][] = [
    ['nothing to learn from', { prompt: 'a', answer: 'b' }, ['nothing to learn from', '"prompt", "answer"']],
    ['an empty text', { text: '' }, ['"text" is empty']],
    ['an empty conversation', { messages: [] }, ['"messages" is empty']],
    ['a number', { text: 3 }, ['"text" is a number']],
    ['text beside messages', { prompt: 'a', completion: [assistant] }, ['not both text or both messages']],
    ['a message without content', { messages: [{ role: 'user' }] }, ['message 1 of "messages"', '"content"']],
  ];
  for (const [name, row, parts] of refused) {
    it(`refuses ${name}, naming the line`, () =>
      expectRefused(() => readTextRows(jsonl({ text: 'a' }, row), FILE), 'texts.jsonl, line 2', ...parts));
  }
});
