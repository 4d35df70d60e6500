import { expect } from 'chai';
import { parseCsv } from '../../src/data/csv.ts';
import { LABELLED } from '../../src/data/labelled-dataset.ts';
import { PREFERENCES } from '../../src/data/preference-dataset.ts';
import { TEXTS } from '../../src/data/text-dataset.ts';
import tables from '../fixtures/tables.json' with { type: 'json' };
import { expectRefused } from '../io/refused.ts';

const FILES: Record<string, { text: string; rows: Record<string, unknown>[] }> = tables.csv;
const pairs = (text: string) => parseCsv(text, 'pairs.csv', ',', PREFERENCES);

describe('data/csv', () => {
  for (const [name, { text, rows }] of Object.entries(FILES)) {
    it(`reads what pandas writes: ${name}`, () => {
      const columns = Object.keys(rows[0] as object);
      const form = { columns, needed: [columns], wayOut: '' };
      const read = parseCsv(text, name, name.endsWith('.tsv') ? '\t' : ',', form);
      const filled = (row: Record<string, unknown>) =>
        Object.fromEntries(Object.entries(row).filter(([, cell]) => cell !== ''));
      expect(read.map(({ value }) => value)).to.deep.equal(rows.map(filled));
    });
  }

  it('counts lines through cells of several lines, blank ones and both kinds of line ends', () => {
    for (const end of ['\n', '\r\n']) {
      const text = ['chosen,rejected', '"a', '', 'b",c', '', 'd,e', ''].join(end);
      expect(pairs(text)).to.deep.equal([
        { where: 'pairs.csv, line 2', value: { chosen: `a${end}${end}b`, rejected: 'c' } },
        { where: 'pairs.csv, line 6', value: { chosen: 'd', rejected: 'e' } },
      ]);
    }
  });

  it('keeps text as it stands, whatever it looks like', () => {
    const [row] = pairs('prompt,chosen,rejected\n 0, [1] note ,"[{x"\n');
    expect(row.value).to.deep.equal({ prompt: ' 0', chosen: ' [1] note ', rejected: '[{x' });
  });

  it('reads labels, and leaves alone what is none', () => {
    const text = 'prompt,completion,label\np,c,TRUE\np,c,0\np,c,1\np,c,false\np,c,maybe\n';
    const rows = parseCsv(text, 'labels.csv', ',', LABELLED);
    expect(rows.map(({ value }) => value.label)).to.deep.equal([true, false, true, false, 'maybe']);
  });

  it('names line and column of messages that are not JSON', async () => {
    const text = (cell: string) => `messages\n"${cell.replaceAll('"', '""')}"\n`;
    const read = (cell: string) => parseCsv(text(cell), 'chats.csv', ',', TEXTS);
    expect(read('[{"role": "user", "content": "a"}]')[0].value.messages).to.deep.equal([
      { role: 'user', content: 'a' },
    ]);
    await expectRefused(() => read('[{"role": "user"'), 'chats.csv, line 2', '"messages"', 'not valid JSON');
    await expectRefused(() => read("[{'role': 'user'}]"), 'chats.csv, line 2', 'as Python prints them');
  });

  it('names the line of what is malformed', async () => {
    const head = 'chosen,rejected\n';
    await expectRefused(() => pairs(`${head}a,b\nc,d,e\n`), 'pairs.csv, line 3', '3 cells', '2 columns');
    await expectRefused(() => pairs(`${head}"a\nb",c\nd\n`), 'pairs.csv, line 4', '1 cell');
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

  it('reads a column whose name is one of JavaScript’s own', () => {
    const form = { columns: ['__proto__', 'constructor'], needed: [['constructor']], wayOut: '' };
    const [row] = parseCsv('__proto__,constructor\na,b\n', 'x.csv', ',', form);
    expect(Object.entries(row.value)).to.deep.equal([
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ]);
  });
});
