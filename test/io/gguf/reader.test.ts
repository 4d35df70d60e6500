/** The reader of GGUF: it reads what gguf-py writes, and for everything else it says what is wrong and where. */
import { expect } from 'chai';
import { byteSource, memorySource } from '../../../src/io/byte-source.ts';
import { openGguf, parseGgufHeader } from '../../../src/io/gguf/reader.ts';
import { type GgufTensor, writeGguf } from '../../../src/io/gguf/writer.ts';
import fixture from '../../fixtures/gguf.json' with { type: 'json' };
import { decodeBytes } from '../../reference/fixtures.ts';
import { digest } from '../../support/digest.ts';
import { ggufMetadata, ggufNumbers, tinyGguf } from '../../support/gguf.ts';
import { expectRefused } from '../refused.ts';

const FILE = 'm.gguf';
const open = (bytes: Uint8Array<ArrayBuffer>) => openGguf(memorySource(bytes, FILE));
const tensor = (shape: number[], data = 4): GgufTensor => ({
  dtype: 'F32',
  shape,
  data: new Uint8Array(data),
});

/** Numbers of a file replaced: `at` a byte offset of a 32 or, for a bigint, 64 bit number. */
function patched(
  bytes: Uint8Array<ArrayBuffer>,
  at: number,
  value: number | bigint,
): Uint8Array<ArrayBuffer> {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  if (typeof value === 'bigint') view.setBigUint64(at, value, true);
  else view.setUint32(at, value, true);
  return copy;
}

/** Where `text` begins in the file. */
function find(bytes: Uint8Array, text: string): number {
  const sought = new TextEncoder().encode(text);
  return bytes.findIndex((_, at) => sought.every((byte, i) => bytes[at + i] === byte));
}

describe('io/gguf-reader', () => {
  const written = decodeBytes(fixture.types.file);

  it('reads metadata of every type as gguf-py writes them', async () => {
    const { metadata } = await open(written);
    const plain = [...metadata].map(([key, value]) => [key, plainly(value)]);
    expect(Object.fromEntries(plain)).to.deep.equal({
      'general.architecture': 'any',
      'general.alignment': 64,
      'a.uint8': 200,
      'a.int8': -100,
      'a.uint16': 60000,
      'a.int16': -30000,
      'a.uint32': 4000000000,
      'a.int32': -2000000000,
      'a.float32': Math.fround(1e-5),
      'a.uint64': 2n ** 63n + 1n,
      'a.int64': -(2n ** 62n),
      'a.float64': 0.1,
      'a.bool': 1,
      'a.string': 'ké\ufeffy',
      'a.texts': ['', '▁the', '\ufeff'],
      'a.wholes': [1, -2, 3],
      'a.reals': [0.5, -1.25],
      'a.truths': [1, 0, 1],
      'a.lists': [[1, 2], [3], [4, 5, 6]],
    });
  });

  it('reads tensors of every type, each only on request', async () => {
    const reads: number[] = [];
    const source = byteSource(FILE, written.length, async (offset, length) => {
      reads.push(length);
      return written.slice(offset, offset + length);
    });
    const { tensors } = await openGguf(source);
    const header = reads.length;
    const digests = Object.entries(fixture.types.sha256);
    expect(digests).to.have.length(11);
    for (const [name, expected] of digests) {
      const { dtype, shape, read } = tensors.get(name)!;
      expect(`t.${dtype}`).to.equal(name);
      expect(shape).to.deep.equal([3, 256]);
      expect(await digest(await read()), name).to.equal(expected);
    }
    expect(reads).to.have.length(header + digests.length);
    const cube = tensors.get('t.cube')!;
    expect(cube.shape).to.deep.equal([2, 3, 4]);
    expect([...new Float32Array((await cube.read()).slice().buffer)]).to.deep.equal([...Array(24).keys()]);
  });

  it('reads its own files, and version 2', async () => {
    const tiny = tinyGguf();
    const { metadata, tensors } = await open(tiny);
    const again = new Map<string, GgufTensor>();
    for (const [name, { shape, read }] of tensors)
      again.set(name, { dtype: 'F16', shape, data: await read() });
    expect(writeGguf(metadata, again)).to.deep.equal(tiny);
    expect([...(await open(patched(tiny, 4, 2))).tensors.keys()]).to.deep.equal([...tensors.keys()]);
  });

  it('reads a header of any length, and no more than four times its bytes', async () => {
    const texts = Array.from({ length: 40_000 }, (_, i) => `token ${i}`);
    const file = writeGguf(ggufMetadata({ 'a.texts': texts }), new Map([['t', tensor([2 ** 20], 2 ** 22)]]));
    let most = 0;
    const source = byteSource(FILE, file.length, async (offset, length) => {
      most = Math.max(most, length);
      return file.slice(offset, offset + length);
    });
    expect(plainly((await openGguf(source)).metadata.get('a.texts')!)).to.deep.equal(texts);
    expect(most).to.be.below(4 * (file.length - 2 ** 22));
  });

  it('reads more if the first bytes do not contain the whole header, wherever they end', () => {
    const tiny = tinyGguf();
    const whole = parseGgufHeader(tiny, tiny.length, FILE)!;
    const end = Math.min(...[...whole.tensors.values()].map(({ begin }) => begin));
    for (let length = 0; length < end - 31; length++) {
      expect(parseGgufHeader(tiny.slice(0, length), tiny.length, FILE), String(length)).to.equal(undefined);
    }
  });

  it('refuses what is not GGUF, or of another version', async () => {
    const tiny = tinyGguf();
    await expectRefused(() => open(new Uint8Array(0)), FILE, 'is not GGUF');
    await expectRefused(() => open(patched(tiny, 0, 1)), FILE, 'is not GGUF');
    for (const version of [1, 4, 0x03000000])
      await expectRefused(() => open(patched(tiny, 4, version)), FILE, `version ${version}`, '2 and 3');
  });

  it('allocates no memory for a false count', async () => {
    const tiny = tinyGguf();
    for (const count of [3000n, 2n ** 40n, 2n ** 53n, 2n ** 64n - 1n]) {
      await expectRefused(() => open(patched(tiny, 8, count)), FILE, 'claims');
      await expectRefused(() => open(patched(tiny, 16, count)), FILE, 'claims');
      await expectRefused(() => open(patched(tiny, 24, count)), FILE, 'key 0', 'claims');
      const texts = find(tiny, 'tokenizer.ggml.tokens') + 'tokenizer.ggml.tokens'.length + 8;
      await expectRefused(() => open(patched(tiny, texts, count)), 'key "tokenizer.ggml.tokens"', 'claims');
    }
  });

  it('names the invalid key', async () => {
    const tiny = tinyGguf();
    const key = find(tiny, 'llama.block_count');
    const type = key + 'llama.block_count'.length;
    await expectRefused(
      () => open(patched(tiny, type, 13)),
      FILE,
      'key "llama.block_count"',
      'unknown type 13',
    );
    const truth = writeGguf(ggufMetadata({ 'a.truth': { type: 'bool', value: 2 } }), new Map());
    await expectRefused(() => open(truth), 'key "a.truth"', 'neither 0 nor 1');
    const bad = tiny.slice();
    bad[key] = 0xff;
    await expectRefused(() => open(bad), FILE, 'key 1', 'not UTF-8');
    const same = ggufMetadata({ 'a.b': 1, 'a.c': 2 });
    const file = writeGguf(same, new Map());
    file[find(file, 'a.c') + 2] = 'b'.charCodeAt(0);
    await expectRefused(() => open(file), FILE, 'key "a.b"', 'twice');
    let deep = ggufNumbers('uint8', [1]);
    for (let i = 0; i < 6; i++) deep = { type: 'array', of: 'array', value: [deep as never] };
    await expectRefused(() => open(writeGguf(ggufMetadata({ deep }), new Map())), 'key "deep"', 'deep');
    for (const alignment of [0, 3, 48]) {
      const even = writeGguf(ggufMetadata({ 'general.alignment': 64 }), new Map());
      const odd = patched(even, find(even, 'general.alignment') + 21, alignment);
      await expectRefused(() => open(odd), 'key "general.alignment"', 'power of two');
    }
  });

  it('names the invalid tensor', async () => {
    const two = (a: GgufTensor, b: GgufTensor) => writeGguf(new Map(), new Map([['one', a], ['two', b]])); // biome-ignore format: short
    const file = two(tensor([1]), tensor([1]));
    const entry = (name: string) => find(file, name) + 3;
    const [one, two_] = [entry('one'), entry('two')];
    const change = (at: number, value: number | bigint) => () => open(patched(file, at, value));
    await expectRefused(change(one, 5), FILE, 'tensor "one"', '5 dimensions');
    await expectRefused(change(one + 4, 2n ** 50n), 'tensor "one"', 'larger than the file');
    await expectRefused(change(one + 12, 99), 'tensor "one"', 'GGUF type 99', 'Q4_K');
    await expectRefused(change(one + 12, 8), 'tensor "one"', 'not a multiple of the block size of Q8_0');
    await expectRefused(change(two_ + 16, 0n), 'tensor "two"', 'overlaps');
    await expectRefused(change(two_ + 16, 33n), 'tensor "two"', 'not a multiple of 32');
    await expectRefused(change(two_ + 16, 2n ** 52n), 'tensor "two"', 'ends at byte');
    await expectRefused(change(two_ + 16, 2n ** 60n), 'tensor "two"', 'claims');
    const same = file.slice();
    same.set(new TextEncoder().encode('one'), find(file, 'two'));
    await expectRefused(() => open(same), 'tensor "one"', 'twice');
  });
});

/** A value without its types, lists of numbers as lists. */
function plainly({ value }: { value: unknown }): unknown {
  if (!ArrayBuffer.isView(value) && !Array.isArray(value)) return value;
  return Array.from(value as ArrayLike<unknown>, (each) =>
    typeof each === 'object' && each !== null && 'value' in each ? plainly(each) : each,
  );
}
