/** The commands that train on prompts, on data without rows: what they say, their exit code, and that nothing is written. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { expect } from 'chai';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { Workshop } from './workshop.ts';

const METHODS = ['rloo', 'grpo', 'ppo', 'online-dpo', 'a2po'];

/** An empty table of a column of texts. */
const NO_ROWS = new Uint8Array(
  parquetWriteBuffer({ columnData: [{ name: 'prompt', data: [] as string[], type: 'STRING' }] }),
);

/** The file, its contents, further flags, and the parts of the message: where, what and the way out. */
const CASES: Readonly<Record<string, [string, string | Uint8Array, Record<string, string>, string[]]>> = {
  'an empty file': [
    'empty.jsonl',
    '',
    {},
    ['empty.jsonl', 'contains no rows', 'Put one JSON object on each line'],
  ],
  'empty lines': [
    'lines.jsonl',
    '\n \n\r\n\n',
    {},
    ['lines.jsonl', 'contains no rows', 'Put one JSON object'],
  ],
  'an empty list': ['list.json', '[]', {}, ['list.json', 'contains no rows', 'Put one JSON object']],
  'an empty table': ['table.csv', '', {}, ['table.csv', 'contains no rows', 'Name the columns']],
  'the names of columns only': [
    'head.csv',
    'prompt,topic\n',
    {},
    ['head.csv', 'contains no rows', 'Put rows below'],
  ],
  'Parquet without rows': [
    'none.parquet',
    NO_ROWS,
    {},
    ['none.parquet', 'contains no rows', 'Write rows into it'],
  ],
  'a split that leaves none': [
    'two.jsonl',
    '{"prompt": "the sky"}\n{"prompt": "the end"}\n',
    { '--eval-split': '2' },
    ['evaluation split', '2 of 2 rows cannot be set aside', 'leaves some for training'],
  ],
  'a share of all rows': [
    'one.jsonl',
    '{"prompt": "the sky"}\n{"prompt": "the end"}\n',
    { '--eval-split': '0.99' },
    ['evaluation split', '0.99 of 2 rows cannot be set aside', 'a fraction below 1'],
  ],
};

describe('cli: prompts without rows', function () {
  this.timeout(60_000);
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
  });
  after(() => workshop.close());

  for (const method of METHODS)
    for (const [what, [file, contents, more, parts]] of Object.entries(CASES))
      it(`${method} refuses ${what} and writes nothing`, async () => {
        const data = await workshop.write(file, contents);
        const before = await readdir(workshop.folder);
        const given = { '--model': workshop.path('model'), '--data': data, '--out': workshop.path('out') };
        const flags = { ...given, '--reward': 'length', ...more };
        const { code, error, stdout } = await workshop.run([method, ...Object.entries(flags).flat()]);
        expect(code).to.be.above(0);
        for (const part of parts) expect(error.message).to.include(part);
        expect(stdout).to.not.include('written to');
        expect(existsSync(workshop.path('out'))).to.equal(false);
        expect(await readdir(workshop.folder)).to.deep.equal(before);
      });
});
