import { expect } from 'chai';
import { blobFiles, type Files, memoryFiles } from '../../src/io/files.ts';
import { toFloat32Bytes } from '../../src/io/float.ts';
import { contentHash } from '../../src/io/hash.ts';
import { writeSafetensors } from '../../src/io/safetensors.ts';
import { openWeights } from '../../src/io/weights.ts';
import { expectRefused } from './refused.ts';

const kinds: [string, Files][] = [
  ['memory', memoryFiles({ 'a.txt': 'hé', 'sub/b': Uint8Array.of(0xff) }, 'folder')],
  ['blobs', blobFiles({ 'a.txt': new Blob(['hé']), 'sub/b': new Blob([Uint8Array.of(0xff)]) }, 'folder')],
];

for (const [kind, files] of kinds) {
  describe(`io/files in ${kind}`, () => {
    it('reads bytes and text', async () => {
      expect(Array.from(await files.read('sub/b'))).to.deep.equal([0xff]);
      expect(await files.readText('a.txt')).to.equal('hé');
      expect(await files.exists('a.txt')).to.equal(true);
      expect(await files.exists('constructor')).to.equal(false);
    });

    it('reads a piece of a file, and no other byte', async () => {
      const source = await files.open('a.txt');
      expect(source.size).to.equal(3);
      expect([...(await source.read(1, 2))]).to.deep.equal([0xc3, 0xa9]);
      for (const [offset, length] of [
        [2, 2],
        [-1, 1],
        [0, 2 ** 53],
        [Number.NaN, 1],
      ] as const) {
        await expectRefused(() => source.read(offset, length), 'folder/a.txt', '3 bytes long');
      }
    });

    it('names a missing file and its folder', () =>
      expectRefused(() => files.read('c.json'), 'c.json', 'folder'));
    it('names text that is not UTF-8', () =>
      expectRefused(() => files.readText('sub/b'), 'folder/sub/b', 'UTF-8'));

    for (const path of ['../a.txt', '/a.txt', 'sub/../../x', 'C:\\x', '', 'a//b', 'sub/./b']) {
      it(`does not leave the folder for ${JSON.stringify(path)}`, () =>
        expectRefused(() => files.read(path), 'folder', 'outside the folder'));
    }
  });
}

describe('io/weights', () => {
  const shard = (name: string, value: number) =>
    writeSafetensors(
      new Map([[name, { dtype: 'F32', shape: [1], data: toFloat32Bytes(Float32Array.of(value)) }]]),
    );
  const index = (map: unknown) => JSON.stringify({ weight_map: map });
  const INDEX = 'model.safetensors.index.json';

  it('reads one file, or the shards of an index', async () => {
    expect([
      ...(await openWeights(memoryFiles({ 'model.safetensors': shard('a', 1) }))).keys(),
    ]).to.deep.equal(['a']);
    const sharded = {
      [INDEX]: index({ a: '1.st', b: '2.st' }),
      '1.st': shard('a', 1),
      '2.st': shard('b', 2),
    };
    expect([...(await openWeights(memoryFiles(sharded))).keys()]).to.deep.equal(['a', 'b']);
  });

  it('refuses shards that are missing, incomplete or outside the folder', async () => {
    await expectRefused(() => openWeights(memoryFiles({}, 'm')), 'm/model.safetensors');
    await expectRefused(() => openWeights(memoryFiles({ [INDEX]: index({ a: '1.st' }) }, 'm')), 'm/1.st');
    await expectRefused(
      () => openWeights(memoryFiles({ [INDEX]: index({ a: '../1.st' }) }, 'm')),
      'inside the folder',
    );
    await expectRefused(() => openWeights(memoryFiles({ [INDEX]: index({ a: 3 }) }, 'm')), INDEX);
    const twice = { [INDEX]: index({ a: '1.st', b: '2.st' }), '1.st': shard('a', 1), '2.st': shard('a', 2) };
    await expectRefused(() => openWeights(memoryFiles(twice, 'm')), 'm/2.st', '"a"', 'm/1.st');
    await expectRefused(() => openWeights(memoryFiles({ [INDEX]: '{}' }, 'm')), INDEX, 'weight_map');
    const lacking = { [INDEX]: index({ a: '1.st', z: '1.st' }), '1.st': shard('a', 1) };
    await expectRefused(() => openWeights(memoryFiles(lacking, 'm')), INDEX, 'z');
  });
});

describe('io/hash', () => {
  it('is SHA-256 of the parts’ SHA-256', async () => {
    expect(await contentHash()).to.equal('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    // sha256(sha256('abc')), the known double hash.
    expect(await contentHash('abc')).to.equal(
      '4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358',
    );
  });

  it('distinguishes the boundaries of parts', async () => {
    expect(await contentHash('ab', 'c')).to.not.equal(await contentHash('a', 'bc'));
    expect(await contentHash('abc')).to.equal(await contentHash(new TextEncoder().encode('abc')));
  });

  it('only reads a view’s own bytes', async () => {
    const values = Float32Array.of(1, 2, 3);
    expect(await contentHash(values.subarray(1, 2))).to.equal(await contentHash(Float32Array.of(2)));
  });
});
