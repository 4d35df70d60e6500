import { expect } from 'chai';
import type { SchemaTree } from 'hyparquet';
import type { DataForm, DataRow } from '../../src/data/data-form.ts';
import { readParquet } from '../../src/data/parquet.ts';
import { checkRuns, measureThrift, ParquetBudget } from '../../src/data/parquet-limits.ts';
import { checkPages } from '../../src/data/parquet-pages.ts';
import { type ByteSource, byteSource, memorySource } from '../../src/io/byte-source.ts';
import { InputError } from '../../src/io/errors.ts';
import { exactJson, parseExactJson } from '../../src/io/exact-json.ts';
import tables from '../fixtures/tables.json' with { type: 'json' };
import { expectRefused } from '../io/refused.ts';

const FILES = Object.fromEntries(
  Object.entries(tables.parquet).map(([name, { file, rows }]) => [
    name,
    { file, rows: parseExactJson(rows, 'tables.json') as Record<string, unknown>[] },
  ]),
);
const bytesOf = (name: string) => Uint8Array.from(atob(FILES[name].file), (c) => c.charCodeAt(0));
const source = (name: string) => memorySource(bytesOf(name), 'data.parquet');

/** All columns of a fixture, none of them needed. */
function everything(name: string): DataForm<DataRow> {
  const columns = [...new Set(FILES[name].rows.flatMap((row) => Object.keys(row)))];
  return { columns, needed: [[]], wayOut: '', toRows: (value, where) => [{ value, where }] };
}

/** A row without its empty columns. */
const present = (row: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null));

/** A source that records what is read. */
function counted(name: string): ByteSource & { pieces: [number, number][] } {
  const bytes = bytesOf(name);
  const pieces: [number, number][] = [];
  const read = async (offset: number, length: number) => {
    pieces.push([offset, length]);
    return bytes.slice(offset, offset + length);
  };
  return { ...byteSource('data.parquet', bytes.length, read), pieces };
}

describe('data/parquet', () => {
  for (const name of Object.keys(FILES)) {
    it(`reads what pyarrow reads: ${name}`, async () => {
      const { rows, columns } = await readParquet(source(name), everything(name));
      const sorted = (row: unknown) => exactJson(row, { sorted: true });
      expect(rows.map(({ value }) => sorted(value))).to.deep.equal(
        FILES[name].rows.map((row) => sorted(present(row))),
      );
      expect([...columns]).to.include.members(Object.keys(rows[0].value));
      expect(rows.at(-1)?.where).to.equal(`data.parquet, row ${rows.length}`);
    });
  }

  it('reads neither the other columns nor the whole file at once', async () => {
    const name = 'snappy, dictionaries, row groups';
    const file = counted(name);
    const { rows } = await readParquet(file, { columns: ['chosen'], needed: [['chosen']], wayOut: '' });
    expect(rows.map(({ value }) => Object.keys(value))).to.deep.equal(FILES[name].rows.map(() => ['chosen']));
    const footer = file.pieces[1];
    const longest = Math.max(...file.pieces.filter((piece) => piece !== footer).map(([, length]) => length));
    expect(longest).to.be.below(footer[0] / 6);
  });

  it('lists the existing columns if required ones are missing', async () => {
    const form = { columns: ['text'], needed: [['text'], ['messages']], wayOut: 'Rename one' };
    await expectRefused(
      () => readParquet(source('brotli'), form),
      'data.parquet',
      '"prompt", "chosen", "rejected", "source"',
      '"text", "messages"',
      'Rename one',
    );
  });

  it('rejects a column that is there twice, like CSV', async () => {
    const text = String.fromCharCode(...bytesOf('brotli')).replaceAll('chosen', 'prompt');
    const twice = memorySource(
      Uint8Array.from(text, (c) => c.charCodeAt(0)),
      'data.parquet',
    );
    const form = { columns: ['prompt'], needed: [['prompt']], wayOut: '' };
    await expectRefused(() => readParquet(twice, form), 'data.parquet', 'has the column "prompt" twice');
    expect((await readParquet(twice, { ...form, columns: ['source'], needed: [[]] })).rows).to.have.length(
      40,
    );
  });

  it('rejects bytes, and converts times to text', async () => {
    const columns = ['raw'];
    const form = { columns, needed: [columns], wayOut: '' };
    await expectRefused(() => readParquet(source('a time and bytes beside'), form), 'row 1, "raw"', 'bytes');
    const at = { columns: ['at'], needed: [['at']], wayOut: '' };
    const [row] = (await readParquet(source('a time and bytes beside'), at)).rows;
    expect(row.value).to.deep.equal({ at: '2020-01-01T00:00:00.000Z' });
  });

  describe('a malicious file', () => {
    /** The file with some bytes changed. */
    const changed = (name: string, change: (bytes: Uint8Array, view: DataView) => void) => {
      const bytes = bytesOf(name);
      change(bytes, new DataView(bytes.buffer));
      return memorySource(bytes, 'data.parquet');
    };
    const form = everything('brotli');

    it('that is truncated, or claims a footer that does not fit', async () => {
      const whole = bytesOf('brotli');
      for (const length of [0, 4, 11, 40, whole.length - 1]) {
        const cut = memorySource(whole.slice(0, length), 'data.parquet');
        await expectRefused(() => readParquet(cut, form), 'data.parquet', 'PAR1');
      }
      const claims = changed('brotli', (bytes, view) => view.setUint32(bytes.length - 8, 2 ** 31, true));
      await expectRefused(() => readParquet(claims, form), 'footer claims 2147483648 bytes');
    });

    it('whose footer has a list of more elements than bytes', () => {
      // Field 1, a list of structures, 2^27 of them.
      const list = Uint8Array.of(0x19, 0xfc, 0x80, 0x80, 0x80, 0x40, 0, 0);
      expect(() => measureThrift(new DataView(list.buffer), 0)).to.throw('claims 134217728 elements');
      const deep = new Uint8Array(100).fill(0x1c);
      expect(() => measureThrift(new DataView(deep.buffer), 0)).to.throw('nested');
      const long = Uint8Array.of(0x16, ...new Array(20).fill(0xff));
      expect(() => measureThrift(new DataView(long.buffer), 0)).to.throw('too long');
    });

    it('whose pages claim more than any page may, or more than a file may', async () => {
      const budget = new ParquetBudget('data.parquet');
      const path = [group, column];
      const spend = (bytes: Uint8Array, rows: number, left = new ParquetBudget('data.parquet')) =>
        checkPages({ bytes, path, codec: 'UNCOMPRESSED', rows }, {}, left);
      await expectRefused(() => budget.unpacked(2 ** 28 + 1), 'data.parquet', '268435457');
      await expectRefused(() => budget.unpacked(-1), 'data.parquet', '-1');
      await expectRefused(() => spend(page(2 ** 28 + 1, 10), 10), '268435457');
      await expectRefused(() => spend(page(10, 2 ** 27), 2 ** 27), 'values');
      await expectRefused(() => spend(page(10, -1), 10), '-1 values');
      await expectRefused(() => spend(page(10, 9, -5), 10), 'claims -5 bytes');
      await expectRefused(() => spend(page(10, 9), 10), '9 values for 10 rows');
      const whole = new ParquetBudget('data.parquet');
      for (let i = 0; i < 8; i++) spend(page(2 ** 28, 10), 10, whole);
      await expectRefused(() => spend(page(1, 10), 10, whole), 'Split', 'more than');
    });

    it('that decompresses to too much, unless the user allows it', async () => {
      const rows = memorySource(bytesOf('brotli'), 'data.parquet');
      const budget = new ParquetBudget('data.parquet', 1000);
      budget.checkRows(2 ** 18, 2);
      await expectRefused(
        () => budget.checkRows(2 ** 18, 3),
        '524288 values',
        '1000 bytes',
        'WEBALIGN_MAX_UNFOLD',
      );
      new ParquetBudget('data.parquet', 1000, 10).checkRows(2 ** 18, 20);
      new ParquetBudget('data.parquet', 2 ** 21).checkRows(2 ** 21, 1);
      await expectRefused(
        () => new ParquetBudget('data.parquet', 2 ** 30, 10).checkRows(2 ** 27, 1),
        'Split',
      );
      // All rows share one text of a dictionary.
      const text = 'x'.repeat(2 ** 24);
      for (let i = 0; i < 4; i++) budget.spendText(text, 'row 1');
      await expectRefused(() => budget.spendText('x', 'data.parquet, row 5'), 'characters', 'row 5');
      await expectRefused(() => readParquet(rows, form, { maxUnfold: 0 }), 'maxUnfold');
      await expectRefused(() => readParquet(rows, form, { maxUnfold: 1e-9 }), 'decompresses to more than');
    });

    it('whose texts repeat the previous one', async () => {
      const deltas = (count: number, value: number[]) => [0x80, 1, 4, count, ...value, 0, 0, 0, 0, 0];
      const spend = (prefix: number[], rows: number) => {
        const bytes = page(40, rows, [...deltas(rows, prefix), ...deltas(rows, [2])], 7);
        const left = new ParquetBudget('data.parquet', 1000);
        checkPages({ bytes, path: [group, column], codec: 'UNCOMPRESSED', rows }, {}, left);
      };
      spend([2], 100);
      // A hundred rows of two million bytes each.
      await expectRefused(() => spend([0x80, 0x92, 0xf4, 1], 100), 'bytes', '"text"');
      await expectRefused(() => spend([1], 100), 'negative');
    });

    it('with a run that continues beyond its page', () => {
      // A run of eight equal values, then eight packed ones of two bits.
      const runs = Uint8Array.of(16, 1, 3, 0xe4, 0xe4);
      checkRuns(runs, 2, 16);
      checkRuns(runs, 2, 9);
      // The last run may be padded, by DuckDB to 256 values.
      const filled = Uint8Array.of(65, ...new Uint8Array(64));
      checkRuns(filled, 2, 1);
      expect(() => checkRuns(runs, 2, 7)).to.throw('a run claims 8 values of 7');
      expect(() => checkRuns(Uint8Array.of(0x83, 1), 0, 1)).to.throw('a run claims 520 values of 1');
      expect(() => checkRuns(Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0x0f, 1), 2, 100)).to.throw('2147483647');
    });

    it('with any byte changed is read or refused by name', async () => {
      for (const name of ['brotli', 'not packed, no dictionaries', 'tools']) {
        const length = bytesOf(name).length;
        for (let at = 0; at < length; at += 29) {
          const file = changed(name, (bytes) => {
            bytes[at] = bytes[at] ^ (1 << (at % 8));
          });
          await readParquet(file, everything(name)).catch((error: unknown) => {
            expect(error, `${name}, byte ${at}: ${(error as Error).stack}`).to.be.instanceOf(InputError);
          });
        }
      }
    });
  });
});

/** A column of 64-bit numbers directly below the root. */
const node = (name: string, type?: 'INT64'): SchemaTree => ({
  count: 1,
  children: [],
  path: [name],
  element: { name, repetition_type: 'REQUIRED', ...(type && { type }) },
});
const [group, column] = [node('root'), node('text', 'INT64')] as const;

/** A page of a column: its header in Thrift's compact protocol, and its bytes. */
function page(unpacked: number, values: number, body: number | number[] = 5, encoding = 0): Uint8Array {
  const bytes = typeof body === 'number' ? new Array<number>(5).fill(0) : body;
  const packed = typeof body === 'number' ? body : body.length;
  const zigzag = (value: number): number[] => {
    const digits: number[] = [];
    let rest = value < 0 ? -2 * value - 1 : 2 * value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) digits.push((rest % 128) | 128);
    return [...digits, rest];
  };
  const header = [0x15, 0, 0x15, ...zigzag(unpacked), 0x15, ...zigzag(packed)];
  return Uint8Array.of(...header, 0x2c, 0x15, ...zigzag(values), 0x15, ...zigzag(encoding), 0, 0, ...bytes);
}
