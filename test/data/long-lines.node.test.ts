/** Files that do not fit into one string of the engine. Only in Node: they need half a gigabyte of memory. */
import { readDataset } from '../../src/data/read-dataset.ts';
import { TEXTS } from '../../src/data/text-dataset.ts';
import { type ByteSource, memorySource } from '../../src/io/byte-source.ts';
import { decodeText } from '../../src/io/files.ts';
import { expectRefused } from '../io/refused.ts';

/** A row, then a line of 512 MiB; a piece at a time. */
const LONG: ByteSource = {
  ...memorySource(new Uint8Array(), 'long.jsonl'),
  size: 2 ** 29 + 2 ** 20,
  async read(offset, length) {
    const bytes = new Uint8Array(length).fill(0x20);
    const start = new TextEncoder().encode('{"text": "a"}\n{"text": "b');
    if (offset === 0) bytes.set(start.subarray(0, length));
    return bytes;
  },
};

describe('data/long lines', function () {
  this.timeout(60_000);

  it('names a line that is longer than a string', () =>
    expectRefused(() => readDataset(LONG, TEXTS), 'long.jsonl, line 2', 'more than', 'use Parquet'));

  it('does not report that a file longer than a string is not UTF-8', () =>
    expectRefused(
      () => decodeText(new Uint8Array(2 ** 29), 'long.csv'),
      'long.csv',
      'too long',
      'Split the file',
    ));
});
