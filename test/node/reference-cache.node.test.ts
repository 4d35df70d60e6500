/** References in the user's cache folder: found again on the same machine only, limited in size, and no error stops a run. */
import { mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Variants } from '../../src/gpu/variants.ts';
import { userReferenceCache } from '../../src/node/reference-cache.ts';

const adapter = { vendor: 'v', architecture: 'a', description: 'd', software: true, features: [] };
const VALUES = Float32Array.of(-1, -2.5);

describe('node/reference-cache', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'webalign-references-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const gpu = (asked: string[] = [], vendor = 'v') => ({
    adapter: { ...adapter, vendor },
    variants: new Variants(asked),
  });
  const cacheOf = (of = gpu(), mostBytes?: number) => userReferenceCache(of, async () => folder, mostBytes);

  it('finds values of the same adapter and kernels', async () => {
    expect(await cacheOf().get('key')).to.equal(undefined);
    await cacheOf().put('key', VALUES);
    expect(await cacheOf().get('key')).to.deep.equal(VALUES);
    for (const other of [gpu(['workgroup']), gpu([], 'w')])
      expect(await cacheOf(other).get('key')).to.equal(undefined);
    const measured = gpu();
    measured.variants.remember('product nt', 'tiles');
    expect(await cacheOf(measured).get('key')).to.equal(undefined);
  });

  it('removes the least recently used entries', async () => {
    const references = join(folder, 'references');
    await cacheOf().put('first', VALUES);
    const [name = ''] = await readdir(references);
    expect(name).to.match(/^reference-.*\.safetensors$/);
    const { size } = await stat(join(references, name));
    const cache = cacheOf(gpu(), 2.5 * size);
    await cache.put('second', VALUES);
    for (const each of await readdir(references)) {
      const used = each === name ? 1 : 2;
      await utimes(join(references, each), used, used);
    }
    await cache.get('first'); // used just now, though it is the older one
    await cache.put('third', VALUES);
    expect(await cache.get('second')).to.equal(undefined);
    expect(await cache.get('first')).to.deep.equal(VALUES);
    expect(await cache.get('third')).to.deep.equal(VALUES);
  });

  it('works without a writable folder', async () => {
    await writeFile(join(folder, 'references'), 'a file in its place');
    await cacheOf().put('key', VALUES);
    expect(await cacheOf().get('key')).to.equal(undefined);
    const nowhere = userReferenceCache(gpu(), () => Promise.reject(new Error('no folder')));
    await nowhere.put('key', VALUES);
    expect(await nowhere.get('key')).to.equal(undefined);
  });
});
