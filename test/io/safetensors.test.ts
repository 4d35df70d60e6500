import { expect } from 'chai';
import { Random } from '../../src/data/random.ts';
import { byteSource, memorySource } from '../../src/io/byte-source.ts';
import { InputError } from '../../src/io/errors.ts';
import { toFloat32, toFloat32Bytes } from '../../src/io/float.ts';
import {
  openSafetensors,
  parseSafetensors,
  type TensorToWrite,
  writeSafetensors,
} from '../../src/io/safetensors.ts';
import { expectRefused, failureOf } from './refused.ts';

const FILE = 'm.safetensors';

/** A file of a header text and data; by default the header's claimed length is its real one. */
function fileOf(header: string | Uint8Array, dataBytes = 0, claimed?: bigint): Uint8Array<ArrayBuffer> {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const file = new Uint8Array(8 + text.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, claimed ?? BigInt(text.length), true);
  file.set(text, 8);
  return file;
}

function f32(shape: number[], values: number[]): TensorToWrite {
  return { dtype: 'F32', shape, data: toFloat32Bytes(Float32Array.from(values)) };
}

const small = writeSafetensors(
  new Map<string, TensorToWrite>([
    ['b.weight', f32([2, 3], [1, 2, 3, 4, 5, 6])],
    ['a.weight', f32([1], [7])],
    ['empty', f32([0, 5], [])],
    ['scalar', { dtype: 'F16', shape: [], data: Uint8Array.of(0, 60) }],
  ]),
  { format: 'pt', note: 'é "quoted"\n' },
);

describe('io/safetensors', () => {
  it('reads what it writes, wide types first, then by name', () => {
    const { metadata, tensors } = parseSafetensors(small, FILE);
    expect(metadata).to.deep.equal({ format: 'pt', note: 'é "quoted"\n' });
    expect([...tensors.keys()]).to.have.members(['a.weight', 'b.weight', 'empty', 'scalar']);
    expect(tensors.get('b.weight')!.shape).to.deep.equal([2, 3]);
    expect(Array.from(toFloat32(tensors.get('b.weight')!))).to.deep.equal([1, 2, 3, 4, 5, 6]);
    expect(Array.from(toFloat32(tensors.get('scalar')!))).to.deep.equal([1]);
    expect(toFloat32(tensors.get('empty')!)).to.have.length(0);
    expect(tensors.get('a.weight')!.data.byteOffset % 8).to.equal(0);
  });

  it('reads the header first, and then only the bytes of the requested tensor', async () => {
    const reads: [number, number][] = [];
    const source = byteSource(FILE, small.length, async (offset, length) => {
      reads.push([offset, length]);
      return small.slice(offset, offset + length);
    });
    const { metadata, tensors } = await openSafetensors(source);
    const whole = parseSafetensors(small, FILE);
    expect(metadata).to.deep.equal(whole.metadata);
    expect([...tensors.keys()]).to.deep.equal([...whole.tensors.keys()]);
    reads.length = 0;
    for (const [name, { data, ...rest }] of whole.tensors) {
      const { read, ...found } = tensors.get(name)!;
      expect(found).to.deep.equal(rest);
      expect(await read()).to.deep.equal(data.slice());
      expect(reads.pop()).to.deep.equal([data.byteOffset, data.byteLength]);
      expect(reads).to.deep.equal([]);
    }
  });

  it('gives the same bytes whatever the order of the tensors', () => {
    const { metadata, tensors } = parseSafetensors(small, FILE);
    expect(writeSafetensors(new Map([...tensors].reverse()), metadata)).to.deep.equal(small);
  });

  it('writes a header like the Python package: padded to eight, entries in the order of their bytes', () => {
    const file = writeSafetensors(
      new Map([
        ['10', f32([1], [1])],
        ['9', f32([1], [2])],
      ]),
      { format: 'pt' },
    );
    const length = Number(new DataView(file.buffer).getBigUint64(0, true));
    expect(length % 8).to.equal(0);
    expect(new TextDecoder().decode(file.subarray(8, 8 + length)).trimEnd()).to.equal(
      '{"__metadata__":{"format":"pt"},"10":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},' +
        '"9":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
    );
  });

  it('refuses to write a tensor whose bytes do not fit its shape', () => {
    expect(() => writeSafetensors(new Map([['x', f32([2], [1])]]))).to.throw(RangeError, 'x');
  });

  it('rejects a file truncated at every byte, and one with extra bytes', async () => {
    for (let length = 0; length < small.length; length++) {
      await expectRefused(() => parseSafetensors(small.slice(0, length), FILE), FILE);
    }
    const longer = new Uint8Array(small.length + 1);
    longer.set(small);
    await expectRefused(() => parseSafetensors(longer, FILE), FILE, 'end at byte');
  });

  it('rejects or reads correctly 2,000 files with random bytes changed', async () => {
    const random = new Random(2024);
    let refused = 0;
    for (let round = 0; round < 2000; round++) {
      const file = small.slice();
      for (let flips = 1 + random.below(4); flips > 0; flips--) {
        // Mostly in the header, where it matters.
        file[random.below(random.below(4) === 0 ? file.length : file.length - 32)] ^= 1 + random.below(255);
      }
      const error = await failureOf(() => {
        for (const { dtype, shape, data } of parseSafetensors(file, FILE).tensors.values()) {
          expect(data.byteLength % shape.reduce((a, b) => a * b, 1) || 0, dtype).to.equal(0);
        }
      });
      if (error !== undefined) expect(error, String(error)).to.be.instanceOf(InputError);
      refused += error === undefined ? 0 : 1;
    }
    expect(refused).to.be.within(1000, 1999);
  });

  const entry = (dtype: unknown, shape: unknown, offsets: unknown) =>
    JSON.stringify({ w: { dtype, shape, data_offsets: offsets } });
  const two = (x: [number, number], y: [number, number]) =>
    JSON.stringify({
      x: { dtype: 'U8', shape: [x[1] - x[0]], data_offsets: x },
      y: { dtype: 'U8', shape: [y[1] - y[0]], data_offsets: y },
    });
  const TENSOR = 'm.safetensors, tensor "w"';
  const hostile: [string, Uint8Array<ArrayBuffer>, string[]][] = [
    ['nothing', new Uint8Array(0), ['0 bytes']],
    ['a header longer than the file', fileOf('{}', 0, 3n), ['claims 3 bytes', 'the file has 2']],
    ['a header of 2^64 − 1 bytes', fileOf('{}', 0, 2n ** 64n - 1n), ['claims 18446744073709551615 bytes']],
    ['a header of 2^53 + 1 bytes', fileOf('{}', 0, 2n ** 53n + 1n), ['claims']],
    ['an empty header', fileOf(''), ['header is not valid JSON']],
    ['a broken header', fileOf('{"w": '), ['header is not valid JSON']],
    [
      'a header that is no UTF-8',
      fileOf(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)),
      ['header is not valid JSON'],
    ],
    ['a list for a header', fileOf('[]'), ['a list']],
    ['null for a header', fileOf('null'), ['null']],
    ['a header of 200,000 levels', fileOf('['.repeat(200_000)), ['header']],
    [
      'a shape of 200,000 levels',
      fileOf(`{"w":{"dtype":"U8","shape":${'['.repeat(2e5)}${']'.repeat(2e5)}}}`),
      [TENSOR],
    ],
    ['a number of 100,000 digits', fileOf(`{"w":${'1'.repeat(100_000)}}`), ['malformed number']],
    [
      'a name given twice',
      fileOf('{"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"w":0}'),
      ['"w" twice'],
    ],
    [
      'a field given twice',
      fileOf('{"w":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
      ['twice'],
    ],
    ['metadata that is a list', fileOf('{"__metadata__":[]}'), ['__metadata__']],
    ['metadata with a number', fileOf('{"__metadata__":{"step":3}}'), ['__metadata__', '"step"']],
    ['an entry that is null', fileOf('{"w":null}'), [TENSOR]],
    ['an unknown dtype', fileOf(entry('F33', [1], [0, 4]), 4), [TENSOR, '"F33"', 'BF16']],
    [
      'a dtype named like an inherited property',
      fileOf(entry('constructor', [1], [0, 4]), 4),
      [TENSOR, 'unknown dtype'],
    ],
    ['no dtype', fileOf('{"w":{"shape":[1],"data_offsets":[0,4]}}', 4), [TENSOR, 'dtype']],
    ['a shape that is not a list', fileOf(entry('F32', 1, [0, 4]), 4), [TENSOR, 'shape']],
    ['a negative dimension', fileOf(entry('F32', [-1, -1], [0, 4]), 4), [TENSOR, 'shape']],
    ['half a dimension', fileOf(entry('F32', [0.5, 2], [0, 4]), 4), [TENSOR, 'shape']],
    ['a dimension as text', fileOf(entry('F32', ['1'], [0, 4]), 4), [TENSOR, 'shape']],
    [
      'a dimension of 1e400',
      fileOf('{"w":{"dtype":"U8","shape":[1e400],"data_offsets":[0,4]}}', 4),
      [TENSOR, 'shape'],
    ],
    ['a product over 2^64', fileOf(entry('F32', [2 ** 32, 2 ** 32], [0, 0])), [TENSOR, 'overflows']],
    [
      'a product that wraps to 4 bytes',
      fileOf(entry('U8', [2 ** 33 + 1, 2 ** 31], [0, 4]), 4),
      [TENSOR, 'overflows'],
    ],
    [
      'a size that is not the shape’s',
      fileOf(entry('F32', [2], [0, 4]), 4),
      [TENSOR, 'takes 8 bytes', 'span 4'],
    ],
    ['no offsets', fileOf('{"w":{"dtype":"U8","shape":[1]}}', 1), [TENSOR, 'data_offsets']],
    ['three offsets', fileOf(entry('U8', [1], [0, 1, 2]), 2), [TENSOR, 'data_offsets']],
    ['offsets backwards', fileOf(entry('U8', [1], [1, 0]), 1), [TENSOR, 'outside']],
    ['an offset below zero', fileOf(entry('U8', [1], [-1, 0]), 1), [TENSOR, 'data_offsets']],
    ['offsets after the end', fileOf(entry('U8', [2], [0, 2]), 1), [TENSOR, 'outside']],
    ['offsets of 2^53', fileOf(entry('U8', [0], [2 ** 53, 2 ** 53])), [TENSOR, 'data_offsets']],
    ['two tensors on the same bytes', fileOf(two([0, 2], [0, 2]), 2), ['"y"', 'overlaps']],
    ['tensors that overlap', fileOf(two([0, 2], [1, 3]), 3), ['"y"', 'overlaps']],
    ['a gap between tensors', fileOf(two([0, 1], [2, 3]), 3), ['"y"', 'gap of 1 byte']],
    ['a gap at the start', fileOf(two([1, 2], [2, 3]), 3), ['"x"', 'gap']],
    ['bytes that belong to no tensor', fileOf(two([0, 1], [1, 2]), 3), ['end at byte 2 of 3']],
  ];
  for (const [name, file, parts] of hostile) {
    it(`refuses ${name}`, async () => {
      await expectRefused(() => parseSafetensors(file, FILE), FILE, ...parts);
      await expectRefused(() => openSafetensors(memorySource(file, FILE)), FILE, ...parts);
    });
  }

  it('treats names of inherited properties as plain names', () => {
    const header =
      '{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"constructor":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}';
    expect([...parseSafetensors(fileOf(header, 1), FILE).tensors.keys()]).to.deep.equal([
      '__proto__',
      'constructor',
    ]);
  });

  it('keeps messages about long names short', async () => {
    const error = await failureOf(() =>
      parseSafetensors(fileOf(JSON.stringify({ ['x'.repeat(1e6)]: 1 })), FILE),
    );
    expect((error as Error).message.length).to.be.below(300);
  });
});
