import { expect } from 'chai';
import { parseCsv } from '../../src/data/csv.ts';
import { LABELLED } from '../../src/data/labelled-dataset.ts';
import { PREFERENCES } from '../../src/data/preference-dataset.ts';
import { PROMPTS } from '../../src/data/prompt-dataset.ts';
import { TEXTS } from '../../src/data/text-dataset.ts';
import tables from '../fixtures/tables.json' with { type: 'json' };
import { expectRefused } from '../io/refused.ts';

const FILES: Record<string, { text: string; rows: Record<string, unknown>[] }> = tables.csv;
const pairs = (text: string) => parseCsv(text, 'pairs.csv', [','], PREFERENCES).rows;

describe('data/csv', () => {
  for (const [name, { text, rows }] of Object.entries(FILES)) {
    it(`reads what pandas writes: ${name}`, () => {
      const columns = Object.keys(rows[0] as object);
      const form = { columns, needed: [columns], wayOut: '' };
      const read = parseCsv(text, name, name.endsWith('.tsv') ? ['\t'] : [',', ';'], form).rows;
      const filled = (row: Record<string, unknown>) =>
        Object.fromEntries(Object.entries(row).filter(([, cell]) => cell !== ''));
      expect(read.map(({ value }) => value)).to.deep.equal(rows.map(filled));
    });
  }

  it('counts lines through multi-line cells, blank lines and both kinds of line ends', () => {
    for (const end of ['\n', '\r\n']) {
      const text = ['chosen,rejected', '"a', '', 'b",c', '', 'd,e', ''].join(end);
      expect(pairs(text)).to.deep.equal([
        { where: 'pairs.csv, line 2', value: { chosen: `a${end}${end}b`, rejected: 'c' } },
        { where: 'pairs.csv, line 6', value: { chosen: 'd', rejected: 'e' } },
      ]);
    }
  });

  it('keeps text unchanged, whatever it looks like', () => {
    const [row] = pairs('prompt,chosen,rejected\n 0, [1] note ,"[{x"\n');
    expect(row.value).to.deep.equal({ prompt: ' 0', chosen: ' [1] note ', rejected: '[{x' });
  });

  it('treats text that only begins like JSON, or is other JSON, as text', () => {
    const cells = [
      '[{"a": 1}] is what?',
      "[{'a': 1}] is what?",
      '[{"role": "user", "content": "hi"}] is what?',
      "[{'role': 'user', 'content': 'hi'}] is what?",
      '[{"role": "admin", "id": 3}]',
      '[{"name": "x"}]',
      '{"role": "user", "content": "hi"}',
      '[]',
      '[1, 2',
    ];
    for (const cell of cells) {
      const quoted = `"${cell.replaceAll('"', '""')}"`;
      const [row] = pairs(`prompt,chosen,rejected\n${quoted},${quoted},b\n`);
      expect(row.value).to.deep.equal({ prompt: cell, chosen: cell, rejected: 'b' });
    }
  });

  it('reads messages if all answers of a row are messages', () => {
    const messages = [{ role: 'assistant', content: null, tool_calls: [] }];
    const quoted = `"${JSON.stringify(messages).replaceAll('"', '""')}"`;
    const text = `prompt,chosen,rejected\nhi,${quoted},${quoted}\n${quoted},${quoted},no\n`;
    const [first, second] = pairs(text);
    expect(first.value).to.deep.equal({ prompt: 'hi', chosen: messages, rejected: messages });
    expect(second.value).to.deep.equal({
      prompt: JSON.stringify(messages),
      chosen: JSON.stringify(messages),
      rejected: 'no',
    });
  });

  it('reads the messages of prompts that have no answers', () => {
    const messages = [{ role: 'user', content: 'hi' }];
    const quoted = `"${JSON.stringify(messages).replaceAll('"', '""')}"`;
    const { rows } = parseCsv(`prompt,topic\n${quoted},a\nhi,b\n`, 'prompts.csv', [','], PROMPTS);
    expect(rows.map(({ value }) => value)).to.deep.equal([
      { prompt: messages, topic: 'a' },
      { prompt: 'hi', topic: 'b' },
    ]);
  });

  it('reads the separator that Excel names in the first line', () => {
    for (const [first, line] of [
      ['sep=;', '"a; b";c'],
      ['"sep=;"', '"a; b";c'],
      ['SEP=|', 'a; b|c'],
    ] as const) {
      for (const end of ['\n', '\r\n', '\r']) {
        const text = [first, line.replace(/".*"|a; b/, 'chosen').replace(/c$/, 'rejected'), line, ''].join(
          end,
        );
        expect(pairs(text), first).to.deep.equal([
          { where: 'pairs.csv, line 3', value: { chosen: 'a; b', rejected: 'c' } },
        ]);
      }
    }
  });

  it('passes over lines of white space, as pandas does, unless the table has one column', () => {
    expect(pairs('chosen,rejected\n  \na,b\n\t\n').map(({ where }) => where)).to.deep.equal([
      'pairs.csv, line 3',
    ]);
    const { rows } = parseCsv('text\n  \na\n', 'texts.csv', [','], TEXTS);
    expect(rows.map(({ value }) => value.text)).to.deep.equal(['  ', 'a']);
  });

  it('uses the line ends of the first line, and keeps others within a line', () => {
    const expected = [
      { chosen: 'a', rejected: 'b' },
      { chosen: 'c', rejected: 'd' },
    ];
    for (const text of [
      'chosen,rejected\r\na,b\nc,d',
      'chosen,rejected\na,b\r\nc,d\r\n',
      'chosen,rejected\ra,b\rc,d',
    ]) {
      expect(pairs(text).map(({ value }) => value)).to.deep.equal(expected);
    }
    const [row] = pairs('chosen,rejected\na\rb,"c\r\nd"\n');
    expect(row.value).to.deep.equal({ chosen: 'a\rb', rejected: 'c\r\nd' });
    expect(pairs('chosen,rejected\na\rb,c\nd,e').map(({ where }) => where)).to.deep.equal([
      'pairs.csv, line 2',
      'pairs.csv, line 3',
    ]);
  });

  it('tries the other separators if the first gives no columns, and accepts duplicate names of unread columns', () => {
    const read = (text: string) => parseCsv(text, 'pairs.csv', [',', ';', '\t'], PREFERENCES).rows[0].value;
    const expected = { chosen: 'a, b', rejected: 'c' };
    expect(read('chosen;rejected\na, b;c\n')).to.deep.equal(expected);
    expect(read('chosen\trejected\na, b\tc\n')).to.deep.equal(expected);
    expect(read('x,chosen,x,rejected\n1,"a, b",2,c\n')).to.deep.equal(expected);
  });

  it('reads labels, and keeps other values unchanged', () => {
    const text = 'prompt,completion,label\np,c,TRUE\np,c,0\np,c,1\np,c,false\np,c,1.0\np,c,0.0\np,c,maybe\n';
    const { rows } = parseCsv(text, 'labels.csv', [','], LABELLED);
    expect(rows.map(({ value }) => value.label)).to.deep.equal([
      true,
      false,
      true,
      false,
      true,
      false,
      'maybe',
    ]);
  });

  it('names line and column of messages that are not JSON', async () => {
    const text = (cell: string) => `messages\n"${cell.replaceAll('"', '""')}"\n`;
    const read = (cell: string) => parseCsv(text(cell), 'chats.csv', [','], TEXTS).rows;
    expect(read('[{"role": "user", "content": "a"}]')[0].value.messages).to.deep.equal([
      { role: 'user', content: 'a' },
    ]);
    await expectRefused(() => read('[{"role": "user"'), 'chats.csv, line 2', '"messages"', 'not valid JSON');
    await expectRefused(
      () => read("[{'role': 'user', 'content': 'a'}]"),
      'chats.csv, line 2',
      "messages in Python's syntax",
    );
    for (const printed of [
      "[{'from': 'human', 'value': 'a'}]",
      "[{'tool_calls': None, 'role': 'user', 'content': 'a'}]",
      "[{'role': 'assistant', 'tool_calls': [{'name': 'f'}]}]",
      // As duckdb prints them.
      "[{'role': user, 'content': a}]",
    ])
      await expectRefused(() => read(printed), 'chats.csv, line 2', "messages in Python's syntax");
    await expectRefused(() => read('[{"from": "human", "value": "a'), 'chats.csv, line 2', 'not valid JSON');
  });

  it('names the line of a malformed cell', async () => {
    const head = 'chosen,rejected\n';
    const [more, fewer] = ['contains the separator', 'a separator for each empty cell'];
    await expectRefused(() => pairs(`${head}a,b\nc,d,e\n`), 'line 3', '3 cells', '2 columns', more);
    await expectRefused(() => pairs(`${head}"a\nb",c\nd\n`), 'pairs.csv, line 4', '1 cell', fewer);
    await expectRefused(() => pairs(`${head}a,b\n"c,d\n`), 'pairs.csv, line 3', 'quote');
    await expectRefused(() => pairs(`${head}a,"b"c\n`), 'pairs.csv, line 2', 'quote');
    await expectRefused(() => pairs('chosen,rejected,chosen\na,b,c\n'), 'line 1', '"chosen" twice');
    await expectRefused(
      () => pairs('chosen;rejected\na;b\n'),
      'pairs.csv',
      '"chosen;rejected"',
      '"chosen" + "rejected"',
    );
    await expectRefused(() => pairs(head), 'pairs.csv', 'no rows');
    await expectRefused(() => pairs(''), 'pairs.csv', 'no rows');
  });

  it('reads a column with a name of an inherited property', () => {
    const form = { columns: ['__proto__', 'constructor'], needed: [['constructor']], wayOut: '' };
    const [row] = parseCsv('__proto__,constructor\na,b\n', 'x.csv', [','], form).rows;
    expect(Object.entries(row.value)).to.deep.equal([
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ]);
  });

  it('reads very many columns in linear time', () => {
    const names = Array.from({ length: 50_000 }, (_, i) => `c${i}`);
    const form = { columns: 'all', needed: [['c0']], wayOut: '' } as const;
    const [row] = parseCsv(`${names}\n${'x,'.repeat(49_999)}y\n`, 'x.csv', [','], form).rows;
    expect(Object.keys(row.value)).to.have.length(50_000);
    expect(row.value.c49999).to.equal('y');
  });
});
