/** A model on each common kind of server: loaded completely and correctly, and found again without another download. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { type Files, memoryFiles } from '../../src/io/files.ts';
import { contentHash } from '../../src/io/hash.ts';
import { CacheWriteError, type HubCache, memoryHubCache } from '../../src/io/hub/cache.ts';
import type { SourceOptions } from '../../src/io/sources.ts';
import { describeModel } from '../../src/model/description.ts';
import { openModelWeights } from '../../src/model/stored-weights.ts';
import { nodeHubCache } from '../../src/node/hub-cache.ts';
import { openSource } from '../../src/node/sources.ts';
import { FileServer, SERVERS } from '../support/file-server.ts';
import { expectRefused } from './refused.ts';

const MODEL = 'demos/align/model';

/** All of a model, including its weights. */
async function contentOf(files: Files): Promise<string> {
  const description = await describeModel(files);
  const { stored } = await openModelWeights(files, description);
  const tokenizer = await Tokenizer.fromFiles(files);
  const tensors = [...stored].sort(([a], [b]) => (a < b ? -1 : 1));
  const parts: (string | Uint8Array)[] = [
    JSON.stringify(description.config),
    `${tokenizer.encode('the sky')}`,
  ];
  for (const [name, tensor] of tensors) parts.push(name, await tensor.read());
  return contentHash(...parts);
}

describe('a model behind a server', function () {
  this.timeout(60_000);
  let contents: Record<string, Uint8Array>;
  let whole: string;
  let weights: number;
  let root: string;
  let server: FileServer;

  before(async () => {
    const names = await readdir(MODEL);
    contents = Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, await readFile(join(MODEL, name))] as const)),
    );
    whole = await contentOf(memoryFiles(contents));
    weights = contents['model.safetensors'].byteLength;
  });
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'webalign-addresses-'));
  });
  afterEach(async () => {
    server.close();
    await rm(root, { recursive: true, force: true });
  });

  const serve = async (kind: string) => {
    const paths = Object.entries(contents).map(([name, content]) => [`/model/${name}`, content]);
    server = await FileServer.open(Object.fromEntries(paths), SERVERS[kind]);
  };
  const load = async (options: SourceOptions = {}) => {
    const cache = { addressCache: nodeHubCache(root), pause: async () => undefined };
    return contentOf(await openSource(`${server.url}/model`, { ...cache, ...options }));
  };

  for (const kind of Object.keys(SERVERS)) {
    it(`is loaded from ${kind}`, async () => {
      await serve(kind);
      expect(await load({ addressCache: false }), 'without a cache').to.equal(whole);
      expect(await load(), 'into the cache').to.equal(whole);
      expect(await load(), 'the second time').to.equal(whole);
      // Three times about fourteen files, for each of which a redirect takes two requests.
      expect(server.take().length).to.be.below(90);
    });

    it(`gives a readable error if ${kind} does not have it`, async () => {
      await serve(kind);
      const missing = async (path: string) => describeModel(await openSource(`${server.url}/${path}`));
      await expectRefused(() => missing('modle'), `${server.url}/modle/config.json`, 'there is no file');
      await expectRefused(() => missing('model/a.gguf'), `${server.url}/model/a.gguf`, 'there is no file');
    });
  }

  const KEPT = ['a plain server', 'Vite dev', 'Vite preview', 'no ranges'];
  for (const kind of KEPT) {
    it(`is downloaded once from ${kind}, and checked with one request per file after that`, async () => {
      await serve(kind);
      await load();
      server.take();
      const before = server.sent;
      expect(await load()).to.equal(whole);
      const asked = server.take();
      expect(new Set(asked).size).to.equal(asked.length);
      expect(server.sent - before).to.be.below(weights / 10);
    });
  }

  it('is downloaded again, and the old version removed, if it has changed on the server', async () => {
    await serve('a plain server');
    await load();
    const before = (await readdir(root)).length;
    const changed = Uint8Array.from(contents['model.safetensors']);
    changed[weights - 1] ^= 1;
    server.files['/model/model.safetensors'] = changed;
    const loaded = await load();
    expect(loaded).to.not.equal(whole);
    expect(loaded).to.equal(await contentOf(memoryFiles({ ...contents, 'model.safetensors': changed })));
    const folders = await readdir(root);
    expect(folders).to.have.length(before);
    const folder = folders.find((name) => name.includes('model.safetensors'))!;
    expect(folder).to.match(/^models--127\.0\.0\.1_\d+--model\.safetensors-[0-9a-f]{16}$/);
    expect(await readdir(join(root, folder, 'blobs'))).to.have.length(1);
  });

  it('is read without being stored, with a notice, if the cache cannot be written', async () => {
    const file = join(root, 'file');
    await writeFile(file, '');
    for (const kind of ['a plain server', 'no ranges']) {
      await serve(kind);
      const told: string[] = [];
      const addressCache = nodeHubCache(join(file, 'below'));
      expect(await load({ addressCache, onNotice: (line) => void told.push(line) })).to.equal(whole);
      expect(told.join('\n')).to.include('model.safetensors is read without being stored').and.include(file);
      server.close();
    }
  });

  it('is read without being stored if the cache fails on the way', async () => {
    const full = { size: 0, read: async () => new Uint8Array(), reset: async () => undefined };
    const append = async () => {
      throw new CacheWriteError('the cache', 'is full', 'Make room');
    };
    const addressCache: HubCache = {
      ...memoryHubCache(),
      add: async (_, fill) => {
        await fill({ ...full, append });
        throw new Error('the bytes went nowhere');
      },
    };
    for (const kind of ['a plain server', 'no ranges', 'no lengths']) {
      await serve(kind);
      expect(await load({ addressCache })).to.equal(whole);
      server.close();
    }
  });

  it('is a folder on disk in Node if its name begins with a slash, whatever the base', async () => {
    await serve('a plain server');
    const missing = () => openSource('/model', { base: `${server.url}/` });
    await expectRefused(missing, '/model', 'there is no such folder');
    expect(await contentOf(await openSource(join(process.cwd(), MODEL)))).to.equal(whole);
  });

  it('reports its progress', async () => {
    await serve('a plain server');
    const told: { file: string; loaded: number; total: number }[] = [];
    await load({ onProgress: (progress) => void told.push(progress) });
    const large = told.filter(({ file }) => file === 'model.safetensors');
    expect(large.at(-1)).to.deep.equal({ file: 'model.safetensors', loaded: weights, total: weights });
    expect(told.map(({ file }) => file)).to.include('config.json');
  });
});
