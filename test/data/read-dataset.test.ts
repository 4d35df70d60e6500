import { expect } from 'chai';
import { LABELLED } from '../../src/data/labelled-dataset.ts';
import { PREFERENCES } from '../../src/data/preference-dataset.ts';
import { readDataset } from '../../src/data/read-dataset.ts';
import { TEXTS } from '../../src/data/text-dataset.ts';
import { memorySource } from '../../src/io/byte-source.ts';
import tables from '../fixtures/tables.json' with { type: 'json' };
import { expectRefused } from '../io/refused.ts';

const parquet = (name: keyof typeof tables.parquet) =>
  Uint8Array.from(atob(tables.parquet[name].file), (c) => c.charCodeAt(0));
const file = (name: string, contents: string | Uint8Array<ArrayBuffer>) =>
  memorySource(typeof contents === 'string' ? new TextEncoder().encode(contents) : contents, name);
const jsonl = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).join('\n');

describe('data/read-dataset', () => {
  it('gives the same rows in every format', async () => {
    const rows: object[] = JSON.parse(tables.parquet['labels of 64 bits'].rows);
    const csv = ['prompt,completion,label', ...rows.map((row) => Object.values(row).join(','))].join('\n');
    const unplaced = async (name: string, contents: string | Uint8Array<ArrayBuffer>) =>
      (await readDataset(file(name, contents), LABELLED)).map(({ where, ...row }) => row);
    const expected = await unplaced('a.jsonl', jsonl(rows));
    expect(expected).to.have.length(9);
    expect(expected[0]).to.deep.equal({ prompt: 'p0', completion: 'c0', label: true });
    expect(await unplaced('a.json', JSON.stringify(rows))).to.deep.equal(expected);
    expect(await unplaced('a.csv', csv)).to.deep.equal(expected);
    expect(await unplaced('A.TSV', csv.replaceAll(',', '\t'))).to.deep.equal(expected);
    expect(await unplaced('a.parquet', parquet('labels of 64 bits'))).to.deep.equal(expected);
    expect(await unplaced('a.txt', jsonl(rows))).to.deep.equal(expected);
    // A byte order mark does not count, as in datasets 5.
    const marked = { 'a.csv': csv, 'a.tsv': csv.replaceAll(',', '\t'), 'a.jsonl': jsonl(rows) };
    for (const [name, contents] of Object.entries({ ...marked, 'a.json': JSON.stringify(rows) }))
      expect(await unplaced(name, `\ufeff${contents}`), name).to.deep.equal(expected);
    expect(await unplaced('a.csv', `\ufeff${csv.replace('prompt', '"prompt"')}`)).to.deep.equal(expected);
  });

  it('reads lines and characters that are split between pieces', async () => {
    const rows = Array.from({ length: 40 }, (_, i) => ({ text: '😀é'.repeat(10_000 + i) }));
    const source = file('a.jsonl', jsonl(rows));
    expect(source.size).to.be.above(2 ** 21);
    const read = await readDataset(source, TEXTS);
    expect(read.map(({ completion }) => completion)).to.deep.equal(rows.map(({ text }) => text));
    expect(read.at(-1)?.where).to.equal('a.jsonl, line 40');
    expect(await readDataset(file('a.json', JSON.stringify(rows)), TEXTS)).to.have.length(40);
    const wrong = Uint8Array.from([...new TextEncoder().encode(jsonl(rows.slice(0, 30))), 0xff]);
    await expectRefused(() => readDataset(file('b.jsonl', wrong), TEXTS), 'b.jsonl', 'not UTF-8');
  });

  it('names the columns that are not read, including replaced ones', async () => {
    const noticeOf = async (name: string, contents: string | Uint8Array<ArrayBuffer>, form = TEXTS) => {
      const lines: string[] = [];
      await readDataset(file(name, contents), form, (line) => lines.push(line));
      return lines.join();
    };
    const row = { prompt: 'a', completion: 'b', messages: [], text: 'c', tools: [], id: 3 };
    expect(await noticeOf('a.jsonl', jsonl([{ text: 'a' }, row]))).to.equal(
      'a.jsonl: columns are not read: "id", "messages", "text".',
    );
    expect(await noticeOf('a.jsonl', jsonl([{ prompt: 'a', text: 'b', completion: null }]))).to.equal(
      'a.jsonl: a column is not read: "prompt".',
    );
    expect(await noticeOf('a.csv', 'text,score\na,1\n')).to.equal('a.csv: a column is not read: "score".');
    expect(await noticeOf('a.parquet', parquet('brotli'), PREFERENCES as never)).to.equal(
      'a.parquet: a column is not read: "source".',
    );
    expect(await noticeOf('a.jsonl', jsonl([{ text: 'a', tools: [], chat_template_kwargs: null }]))).to.equal(
      '',
    );
  });

  it('ignores NaN in unread columns, and names it in others', async () => {
    const text = (rejected: string) => `{"chosen": "a", "rejected": ${rejected}, "score": NaN}`;
    expect(await readDataset(file('a.jsonl', text('"b"')), PREFERENCES)).to.have.length(1);
    const what = '"rejected" must be text or messages, got NaN, which stands for a missing value';
    await expectRefused(
      () => readDataset(file('a.jsonl', text('NaN')), PREFERENCES),
      'a.jsonl, line 1',
      what,
    );
  });

  it('names file and row of an invalid one', async () => {
    const [row] = await readDataset(file('a.parquet', parquet('written by datasets')), PREFERENCES).catch(
      (error: Error) => [error],
    );
    expect(String(row)).to.include('a.parquet, row 4').and.include('"content"');
    await expectRefused(
      () => readDataset(file('a.csv', 'chosen,rejected\na,b\n,c\n'), PREFERENCES),
      'a.csv, line 3',
    );
  });

  it('rejects a file whose name contradicts its first bytes', async () => {
    const bytes = parquet('brotli');
    await expectRefused(() => readDataset(file('a.csv', bytes), TEXTS), 'a.csv', 'Parquet', '.parquet');
    await expectRefused(() => readDataset(file('a', bytes), TEXTS), 'a', 'Parquet');
    await expectRefused(
      () => readDataset(file('a.parquet', '{"text": "b"}'), TEXTS),
      'not a Parquet',
      '.jsonl',
    );
    await expectRefused(() => readDataset(file('a.parquet', ''), TEXTS), 'a.parquet', 'not a Parquet');
    await expectRefused(
      () => readDataset(file('a.jsonl', Uint8Array.of(0x1f, 0x8b, 8, 0)), TEXTS),
      'gzip',
      'Unpack',
    );
    await expectRefused(() => readDataset(file('a.arrow', 'ARROW1\0\0'), TEXTS), 'Arrow', 'to_parquet');
    for (const start of ['\xff\xfea\0', '\xfe\xff\0a']) {
      const utf16 = Uint8Array.from(start, (character) => character.charCodeAt(0));
      await expectRefused(() => readDataset(file('a.csv', utf16), TEXTS), 'UTF-16', 'Save it as UTF-8');
    }
    await expectRefused(() => readDataset(file('a.csv', ''), TEXTS), 'a.csv', 'no rows');
  });

  it('says what to do with an object of several lines, and with a line that is cut off', async () => {
    for (const [text, line] of [
      [JSON.stringify({ text: 'a' }, undefined, 1), 1],
      ['{"text": "a"}\n{"text": "b', 2],
    ] as const) {
      const refused = () => readDataset(file('a.json', text), TEXTS);
      await expectRefused(refused, `a.json, line ${line}`, 'ends inside', 'each object on one line');
    }
  });
});
