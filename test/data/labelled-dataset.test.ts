import { expect } from 'chai';
import { readLabelledRows } from '../../src/data/labelled-dataset.ts';
import { expectRefused } from '../io/refused.ts';

const FILE = 'labels.jsonl';
const jsonl = (...rows: unknown[]) => rows.map((row) => JSON.stringify(row)).join('\n');
const user = { role: 'user', content: 'hello' };
const assistant = { role: 'assistant', content: 'hi' };
const good = { prompt: 'a', completion: 'b', label: true };

describe('data/labelled-dataset', () => {
  it('reads text and messages, with labels as true and false or 1 and 0', () => {
    const rows = readLabelledRows(
      jsonl(good, { ...good, label: 0 }, { prompt: [user], completion: [assistant], label: 1, extra: 3 }),
      FILE,
    );
    expect(rows).to.deep.equal([
      { prompt: 'a', completion: 'b', label: true, where: 'labels.jsonl, line 1' },
      { prompt: 'a', completion: 'b', label: false, where: 'labels.jsonl, line 2' },
      { prompt: [user], completion: [assistant], label: true, where: 'labels.jsonl, line 3' },
    ]);
  });

  it('splits a pair, its prompt given or implicit, into a desirable and an undesirable completion', () => {
    const where = 'labels.jsonl, line 1';
    const both = [
      { prompt: 'a ', completion: 'b', label: true, where },
      { prompt: 'a ', completion: 'c', label: false, where },
    ];
    expect(readLabelledRows(jsonl({ prompt: 'a ', chosen: 'b', rejected: 'c' }), FILE)).to.deep.equal(both);
    const implicit = readLabelledRows(jsonl({ chosen: [user, assistant], rejected: [user, user] }), FILE);
    expect(implicit.map(({ prompt, completion, label }) => [prompt, completion, label])).to.deep.equal([
      [[user], [assistant], true],
      [[user], [user], false],
    ]);
  });

  it("accepts labels that pandas wrote as numbers, and keeps the template's columns of a pair", () => {
    const text =
      '{"prompt": "a", "completion": "b", "label": 1.0}\n{"prompt": "a", "completion": "b", "label": 0.0}';
    expect(readLabelledRows(text, FILE).map(({ label }) => label)).to.deep.equal([true, false]);
    const tools = [{ type: 'function' }];
    const pair = readLabelledRows(
      jsonl({ prompt: 'a', chosen: 'b', rejected: 'c', completion: null, tools }),
      FILE,
    );
    expect(pair.map((row) => row.tools)).to.deep.equal([tools, tools]);
  });

  const refused: [string, Record<string, unknown>, string[]][] = [
    ['no label', { prompt: 'a', completion: 'b' }, ['no "label"', '"prompt", "completion"', 'true or false']],
    ['no prompt and no completion', { text: 'a', label: true }, ['no "prompt" and no "completion"']],
    ['a null completion', { ...good, completion: null }, ['no "completion"']],
    [
      'a label that is text',
      { ...good, label: 'good' },
      ['"label" must be true or false, got a string', 'true (desirable) or false'],
    ],
    ['a label of 2', { ...good, label: 2 }, ['"label" must be true or false, got a number']],
    ['a label that is the text 1', { ...good, label: '1' }, ['"label" must be true or false, got a string']],
    [
      'text together with messages',
      { ...good, completion: [assistant] },
      ['must be both text or both messages'],
    ],
    ['an empty completion', { ...good, completion: '' }, ['the completion is empty']],
    ['no messages', { prompt: [user], completion: [], label: true }, ['the completion is empty']],
    [
      'a message that says nothing',
      { prompt: [user], completion: [{ role: 'assistant', content: '' }], label: true },
      ['the completion is empty'],
    ],
    ['a message without role', { ...good, prompt: [{ content: 'a' }] }, ['message 1 of "prompt"', '"role"']],
    ['a pair without its other half', { prompt: 'a', chosen: 'b' }, ['no "rejected"']],
  ];
  for (const [name, row, parts] of refused) {
    it(`refuses ${name}, naming the line`, () =>
      expectRefused(() => readLabelledRows(jsonl(good, row), FILE), 'labels.jsonl, line 2', ...parts));
  }
});
