import { expect } from 'chai';
import { parseRows } from '../../src/data/jsonl.ts';
import { readPreferenceRows, trainEvalSplit } from '../../src/data/preference-dataset.ts';
import trl from '../fixtures/trl-pairs.json' with { type: 'json' };
import { expectRefused } from '../io/refused.ts';

const FILE = 'pairs.jsonl';
const jsonl = (...rows: unknown[]) => rows.map((row) => JSON.stringify(row)).join('\n');
const user = { role: 'user', content: 'hello' };
const assistant = { role: 'assistant', content: 'hi' };

describe('data/jsonl', () => {
  it('refuses a byte order mark on a later line, like datasets', () =>
    expectRefused(() => parseRows('{"a":1}\n\uFEFF{"a":2}\n', FILE), 'line 2', 'byte order mark'));

  it('reads lines, with blank ones, carriage returns and a byte order mark', () => {
    expect(parseRows('\uFEFF{"a":1}\r\n\r\n{"a":2}\n', FILE)).to.deep.equal([
      { where: 'pairs.jsonl, line 1', value: { a: 1 } },
      { where: 'pairs.jsonl, line 3', value: { a: 2 } },
    ]);
  });

  it('reads one JSON list', () => {
    expect(parseRows(' [{"a":1},\n{"a":2}]', FILE).map(({ where }) => where)).to.deep.equal([
      'pairs.jsonl, row 1',
      'pairs.jsonl, row 2',
    ]);
  });

  it('names file and line of a malformed row', async () => {
    await expectRefused(() => parseRows('{"a":1}\n{"a":}\n', FILE), FILE, 'line 2, column 6');
    await expectRefused(() => parseRows('{"a":1}\n\n"text"', FILE), FILE, 'line 3', 'a string');
    await expectRefused(() => parseRows('{"a":1}\n[{}]', FILE), FILE, 'line 2', 'a list');
    await expectRefused(() => parseRows('[{"a":1},\n{"a":2},\n]', FILE), FILE, 'line 3');
    await expectRefused(() => parseRows('[{"a":1}, null]', FILE), FILE, 'row 2', 'null');
    await expectRefused(() => parseRows(' \n\n', FILE), FILE, 'no rows');
  });
});

describe('data/preference-dataset', () => {
  it('splits rows as TRL does', () => {
    const rows = readPreferenceRows(jsonl(...trl.rows), FILE).map(({ prompt, chosen, rejected }) => ({
      prompt,
      chosen,
      rejected,
    }));
    expect(rows).to.deep.equal(trl.split);
  });

  it('removes the prompt from conversations that repeat a prompt given as text', () => {
    const [row] = readPreferenceRows(
      jsonl({ prompt: 'hello', chosen: [user, assistant], rejected: [user, user] }),
      FILE,
    );
    expect(row).to.deep.include({ prompt: [user], chosen: [assistant], rejected: [user] });
  });

  it('compares messages by content, whatever the order of their keys', () => {
    const turned = { content: 'hello', role: 'user' };
    const [row] = readPreferenceRows(jsonl({ chosen: [user, assistant], rejected: [turned, user] }), FILE);
    expect(row.prompt).to.deep.equal([user]);
  });

  it('finds no prompt if completions differ from the start, with or without a trailing space', () => {
    const [row] = readPreferenceRows(jsonl({ chosen: 'yes ', rejected: 'no ' }), FILE);
    expect(row).to.include({ prompt: '', chosen: 'yes ', rejected: 'no ' });
  });

  const good = { prompt: 'a', chosen: 'b', rejected: 'c' };
  const refused: [string, Record<string, unknown>, string[]][] = [
    [
      'no "chosen"',
      { prompt: 'a', rejected: 'b', answer: 'c' },
      ['no "chosen"', '"prompt", "rejected", "answer"'],
    ],
    ['neither completion', { text: 'a' }, ['no "chosen" and no "rejected"']],
    ['a null completion', { ...good, rejected: null }, ['no "rejected"']],
    ['a number', { ...good, chosen: 3 }, ['"chosen" must be text or messages, got a number']],
    ['an object', { ...good, prompt: {} }, ['"prompt" must be text or messages, got an object']],
    ['an empty completion', { ...good, rejected: '' }, ['"rejected" is empty']],
    ['an implicit prompt that leaves nothing', { chosen: '', rejected: 'x' }, ['"chosen" is empty']],
    ['an empty list', { prompt: [user], chosen: [], rejected: [assistant] }, ['"chosen" is empty']],
    [
      'a message that says nothing',
      { prompt: [user], chosen: [{ role: 'assistant', content: '' }], rejected: [assistant] },
      ['"chosen" is empty'],
    ],
    ['text together with messages', { ...good, chosen: [assistant] }, ['must be both text or both messages']],
    ['messages before text', { ...good, prompt: [user] }, ['"prompt" is messages']],
    [
      'text before messages',
      { prompt: 'hello', chosen: [assistant], rejected: [user] },
      ['"prompt" is text'],
    ],
    [
      'a message without role',
      { prompt: [{ content: 'a' }], chosen: [assistant], rejected: [user] },
      ['message 1 of "prompt"', '"role"'],
    ],
    [
      'a message with parts that are no text',
      {
        prompt: [user, { role: 'user', content: [{ type: 'image' }] }],
        chosen: [assistant],
        rejected: [user],
      },
      ['message 2 of "prompt"', 'a part of type "image"', 'Only text'],
    ],
    [
      'a message that holds nothing',
      { prompt: [user], chosen: [{ role: 'assistant', content: null, tool_calls: [] }], rejected: [user] },
      ['message 1 of "chosen"', 'null as its "content"'],
    ],
    [
      'a message that is text',
      { prompt: ['a'], chosen: [assistant], rejected: [user] },
      ['message 1', 'a string'],
    ],
  ];
  for (const [name, row, parts] of refused) {
    it(`refuses ${name}, naming the line`, () =>
      expectRefused(() => readPreferenceRows(jsonl(good, row), FILE), 'pairs.jsonl, line 2', ...parts));
  }

  it('holds out rows by seed, both parts in the order of the data', () => {
    const items = Array.from({ length: 20 }, (_, i) => i);
    const { train, eval: held } = trainEvalSplit(items, 0.15, 42);
    expect(held).to.have.length(3);
    expect([...train, ...held].sort((a, b) => a - b)).to.deep.equal(items);
    for (const part of [train, held]) expect(part).to.deep.equal([...part].sort((a, b) => a - b));
    expect(trainEvalSplit(items, 0.15, 42).eval).to.deep.equal(held);
    expect(trainEvalSplit(items, 0.15, 43).eval).to.not.deep.equal(held);
    expect(trainEvalSplit(items, 5, 42).eval).to.have.length(5);
    expect(trainEvalSplit(items, 0, 42)).to.deep.equal({ train: items, eval: [] });
  });

  it('refuses a split that leaves nothing to train on', async () => {
    for (const split of [-0.1, 4, 1.5, Number.NaN, 0.99]) {
      await expectRefused(() => trainEvalSplit([1, 2, 3, 4], split, 0), 'evaluation split');
    }
  });
});
