import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  fileCheckpointStore,
  folderFiles,
  nodeReferenceCache,
  writeFileAtomic,
  writeFiles,
} from '../../src/node/folder.ts';
import { ownerTag } from '../../src/node/owner.ts';
import { expectRefused } from '../io/refused.ts';

describe('node/folder', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'webalign-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  it('reads files of the folder', async () => {
    await mkdir(join(dir, 'sub'));
    await writeFile(join(dir, 'sub/a.json'), '{"é":1}');
    const files = folderFiles(`${dir}/`);
    expect(files.name).to.equal(dir);
    expect(await files.readText('sub/a.json')).to.equal('{"é":1}');
    expect(await files.exists('sub/a.json')).to.equal(true);
    expect(await files.exists('sub')).to.equal(false);
    expect(await files.exists('b.json')).to.equal(false);
  });

  it('names what is missing, is a folder, or lies outside', async () => {
    await expectRefused(() => folderFiles(dir).read('config.json'), 'config.json', dir);
    await expectRefused(() => folderFiles(join(dir, 'nowhere')).read('config.json'), 'nowhere');
    await mkdir(join(dir, 'sub'));
    await expectRefused(() => folderFiles(dir).read('sub'), 'sub', 'cannot be read');
    await expectRefused(() => folderFiles(dir).read('../x'), 'outside the folder');
  });

  it('writes a file atomically, creating its folder, and leaves nothing else', async () => {
    const path = join(dir, 'new/deep/file.bin');
    await writeFileAtomic(path, Uint8Array.of(1, 2, 3));
    await writeFileAtomic(path, Uint8Array.of(4));
    expect(Array.from(await readFile(path))).to.deep.equal([4]);
    expect(await readdir(join(dir, 'new/deep'))).to.deep.equal(['file.bin']);
  });

  it('keeps the old file, and no temporary one, if writing fails', async () => {
    await mkdir(join(dir, 'taken/inside'), { recursive: true });
    await expectRefused(
      () => writeFileAtomic(join(dir, 'taken'), Uint8Array.of(1)),
      'taken',
      'cannot be written',
    );
    await writeFile(join(dir, 'file'), 'old');
    await expectRefused(
      () => writeFileAtomic(join(dir, 'file/below'), Uint8Array.of(1)),
      'cannot be written',
    );
    expect((await readdir(dir)).sort()).to.deep.equal(['file', 'taken']);
    expect(await readFile(join(dir, 'file'), 'utf8')).to.equal('old');
  });

  it('removes files of killed writers, but none of running ones', async () => {
    const tag = ownerTag();
    const gone = tag.replace(/~\d+~\d+~\d+$/, '~999999999~1~0');
    const otherStart = tag.replace(/~\d+~\d+$/, '~1~0');
    const otherBoot = tag.replace(/^([^~]+~[^~]+)~[^~]+/, '$1~elsewhen');
    const [otherThread, otherMachine] = [tag.replace(/\d+$/, '99'), tag.replace(/^[^~]+/, 'elsewhere')];
    const name = (owner: string) => `.file.bin.${owner}.0.tmp`;
    for (const owner of [gone, otherStart, otherBoot, otherThread, otherMachine])
      await writeFile(join(dir, name(owner)), 'half');
    await writeFile(join(dir, '.other.bin.0.tmp'), 'half');
    const forgotten = join(dir, name(`${otherMachine}1`));
    await writeFile(forgotten, 'half');
    await utimes(forgotten, new Date(0), new Date(0));
    await writeFileAtomic(join(dir, 'file.bin'), Uint8Array.of(1));
    expect((await readdir(dir)).sort()).to.deep.equal(
      [name(otherThread), name(otherMachine), '.other.bin.0.tmp', 'file.bin'].sort(),
    );
  });

  it('lets several writers of one file finish, each atomically', async () => {
    const path = join(dir, 'file.bin');
    const writers = Array.from({ length: 8 }, (_, i) =>
      writeFileAtomic(path, new Uint8Array(50_000).fill(i)),
    );
    await Promise.all(writers);
    const bytes = await readFile(path);
    expect(bytes).to.have.length(50_000);
    expect(new Set(bytes).size).to.equal(1);
    expect(await readdir(dir)).to.deep.equal(['file.bin']);
  });

  it('reports that nothing can be created below /proc', async function () {
    if (!existsSync('/proc/self')) this.skip();
    await expectRefused(() => writeFileAtomic('/proc/nowhere/file', Uint8Array.of(1)), 'cannot be written');
  });

  it('stores checkpoints, caches and sets of files', async () => {
    const store = fileCheckpointStore(join(dir, 'c/checkpoint.safetensors'));
    expect(await store.read()).to.equal(undefined);
    await store.write(Uint8Array.of(1, 2));
    expect(Array.from((await store.read())!)).to.deep.equal([1, 2]);
    const cache = nodeReferenceCache(join(dir, 'cache'));
    expect(await cache.get('k')).to.equal(undefined);
    await cache.put('k', Float32Array.of(-1.5));
    expect(await nodeReferenceCache(join(dir, 'cache')).get('k')).to.deep.equal(Float32Array.of(-1.5));
    await writeFiles(join(dir, 'out'), { a: Uint8Array.of(1), b: Uint8Array.of(2) });
    expect((await readdir(join(dir, 'out'))).sort()).to.deep.equal(['a', 'b']);
  });
});
