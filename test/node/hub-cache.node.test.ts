import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import type { SourceOptions } from '../../src/io/sources.ts';
import { nodeHubCache } from '../../src/node/hub-cache.ts';
import { ownerTag } from '../../src/node/owner.ts';
import { openSource } from '../../src/node/sources.ts';
import { expectRefused } from '../io/refused.ts';
import { cutAt, gitName, HubServer, isContent, sends, sha256 } from '../support/hub-server.ts';

const COMMIT = 'c0ffee'.padEnd(40, '0');
const WEIGHTS = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) % 251);
const CONFIG = '{"a":1}';
/** The mark of a process of this machine whose id no process has. */
const GONE = ownerTag().replace(/~\d+~\d+~\d+$/, '~999999999~1~0');

describe('node/hub-cache', () => {
  let hub: HubServer;
  let root: string;
  let folder: string;
  before(async () => {
    hub = await HubServer.open();
    hub.repositories['org/tiny'] = {
      commit: COMMIT,
      files: { 'config.json': CONFIG, 'sub/model.safetensors': WEIGHTS, 'README.md': 'unread' },
    };
  });
  after(() => hub.close());
  beforeEach(async () => {
    hub.take();
    hub.faults.length = 0;
    root = await mkdtemp(join(tmpdir(), 'webalign-hub-'));
    folder = join(root, 'models--org--tiny');
  });
  // A load that was abandoned may still write a file.
  afterEach(() => rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 }));

  const options = (more: SourceOptions = {}): SourceOptions => ({
    endpoint: hub.url,
    cache: nodeHubCache(root),
    token: undefined,
    pause: async () => undefined,
    ...more,
  });
  const load = async (more: SourceOptions = {}) => {
    const files = await openSource('org/tiny', options(more));
    expect(await files.readText('config.json')).to.equal(CONFIG);
    return files.read('sub/model.safetensors');
  };
  const names = async (...steps: string[]) => (await readdir(join(folder, ...steps)).catch(() => [])).sort();
  const contents = () => hub.take().filter(isContent).length;

  it("has the layout of Hugging Face's tools, and requests nothing twice", async () => {
    expect(await load()).to.deep.equal(WEIGHTS);
    expect(await names('blobs')).to.deep.equal([gitName(CONFIG), sha256(WEIGHTS)].sort());
    expect(await readFile(join(folder, 'refs/main'), 'utf8')).to.equal(COMMIT);
    const snapshot = join(folder, 'snapshots', COMMIT);
    expect((await readdir(snapshot, { recursive: true })).sort()).to.deep.equal([
      'config.json',
      'sub',
      'sub/model.safetensors',
    ]);
    expect(await readlink(join(snapshot, 'config.json'))).to.equal(`../../blobs/${gitName(CONFIG)}`);
    expect(await readlink(join(snapshot, 'sub/model.safetensors'))).to.equal(
      `../../../blobs/${sha256(WEIGHTS)}`,
    );
    hub.take();
    expect(await load()).to.deep.equal(WEIGHTS);
    expect(await load({ revision: COMMIT })).to.deep.equal(WEIGHTS);
    expect(await load({ offline: true })).to.deep.equal(WEIGHTS);
    expect(hub.take()).to.deep.equal([]);
  });

  it('finds files stored by others, with or without their listing', async () => {
    for (const listing of [false, true]) {
      await rm(folder, { recursive: true, force: true });
      await layByHand(folder, listing);
      expect(await load({ offline: true })).to.deep.equal(WEIGHTS);
      hub.take();
      expect(await load()).to.deep.equal(WEIGHTS);
      expect(hub.take()).to.deep.equal([]);
      const files = await openSource('org/tiny', options());
      expect(await files.exists('README.md')).to.equal(true);
      expect(hub.take().length, 'the list, where there was none').to.equal(listing ? 0 : 2);
    }
  });

  it('links files of another commit, and downloads a file with the wrong size again', async () => {
    await load();
    hub.repositories['org/tiny'].commit = 'beef'.padEnd(40, '0');
    hub.take();
    try {
      expect(await load({ refresh: true })).to.deep.equal(WEIGHTS);
      expect(hub.take().every(({ path }) => path.startsWith('/api/'))).to.equal(true);
    } finally {
      hub.repositories['org/tiny'].commit = COMMIT;
    }
    await writeFile(join(folder, 'blobs', sha256(WEIGHTS)), 'cut');
    expect(await load({ revision: COMMIT })).to.deep.equal(WEIGHTS);
    expect(contents()).to.equal(1);
  });

  it('downloads once for two concurrent loads', async () => {
    const both = await Promise.all([load(), load()]);
    expect(both).to.deep.equal([WEIGHTS, WEIGHTS]);
    expect(contents()).to.equal(1);
  });

  it('is aborted immediately by a signal, also while it waits for another load', async () => {
    hub.faults.push((asked, response) => {
      if (!isContent(asked)) return false;
      response.flushHeaders();
      return true;
    });
    const stops = [new AbortController(), new AbortController()];
    const loads = stops.map(({ signal }) => load({ signal }).catch(String));
    while (!hub.seen.some(isContent)) await new Promise((go) => setTimeout(go, 20));
    await new Promise((go) => setTimeout(go, 100));
    for (const index of [1, 0]) {
      stops[index].abort(new Error(`enough of ${index}`));
      const late = new Promise((go) => setTimeout(go, 1000, 'late'));
      expect(await Promise.race([loads[index], late])).to.include(`enough of ${index}`);
    }
  });

  it('stores no wrong bytes', async () => {
    hub.faults.push(sends((bytes) => bytes.map((byte) => byte ^ 1)));
    await expectRefused(() => load(), 'org/tiny/sub/model.safetensors', 'hash');
    expect(await names('blobs')).to.deep.equal([gitName(CONFIG)]);
    expect(await names('snapshots', COMMIT)).to.deep.equal(['config.json']);
  });

  for (const at of [1, 2, 65_536, 123_457, WEIGHTS.length - 1]) {
    it(`keeps the bytes received before a cut at byte ${at} for the next attempt`, async () => {
      // The connection is cut, and then the server is gone: the attempt ends.
      hub.faults.push(cutAt(at), ...Array.from({ length: 6 }, () => refusesContent));
      await expectRefused(() => load(), 'cannot be reached');
      hub.faults.length = 0;
      hub.take();
      const [partial] = (await names('blobs')).filter((name) => name.endsWith('.incomplete'));
      const { size } = await stat(join(folder, 'blobs', partial));
      expect(size).to.be.greaterThan(0).and.at.most(at);
      expect(await load()).to.deep.equal(WEIGHTS);
      const [first] = hub.take().filter(isContent);
      expect(first?.headers.range).to.equal(`bytes=${size}-`);
      expect(await names('blobs')).to.deep.equal([gitName(CONFIG), sha256(WEIGHTS)].sort());
    });
  }

  it('starts again if stored bytes were damaged', async () => {
    await layPartial(WEIGHTS.slice(0, 1000).fill(7), GONE);
    expect(await load()).to.deep.equal(WEIGHTS);
    expect(
      hub
        .take()
        .filter(isContent)
        .map(({ headers }) => headers.range),
    ).to.deep.equal(['bytes=1000-', undefined]);
  });

  it('does not touch the download of another machine', async () => {
    await layPartial(WEIGHTS.slice(0, 1000), 'elsewhere-1-0', new Date(0));
    expect(await load()).to.deep.equal(WEIGHTS);
    expect(hub.take().filter(isContent)[0]?.headers.range).to.equal(undefined);
    expect(await names('blobs')).to.include(`${sha256(WEIGHTS)}.elsewhere-1-0.incomplete`);
  });

  it('continues the download of a process whose id was reused', async () => {
    await layPartial(WEIGHTS.slice(0, 1000), ownerTag().replace(/~\d+~\d+$/, '~1~0'));
    expect(await load()).to.deep.equal(WEIGHTS);
    expect(hub.take().filter(isContent)[0]?.headers.range).to.equal('bytes=1000-');
  });

  it('continues the download of a killed process', async () => {
    const { child, stuck } = stuckProcess(200_000);
    await stuck;
    child.kill('SIGKILL');
    await once(child, 'close');
    hub.take();
    expect(await load()).to.deep.equal(WEIGHTS);
    const [first] = hub.take().filter(isContent);
    expect(first?.headers.range).to.equal('bytes=200000-');
    expect(await names('blobs')).to.deep.equal([gitName(CONFIG), sha256(WEIGHTS)].sort());
  });

  it('waits for a downloading process, and takes over if that dies', async () => {
    const { child, stuck } = stuckProcess(100_000);
    await stuck;
    hub.take();
    const told: string[] = [];
    const loading = load({ onNotice: (line) => void told.push(line) });
    while (!told.some((line) => line.includes('another process')))
      await new Promise((go) => setTimeout(go, 20));
    expect(contents()).to.equal(0);
    child.kill('SIGKILL');
    expect(await loading).to.deep.equal(WEIGHTS);
    expect(hub.take().filter(isContent)[0]?.headers.range).to.equal('bytes=100000-');
  });

  it('serves concurrent processes', async () => {
    const children = Array.from({ length: 3 }, () => childLoad());
    const ends = await Promise.all(children.map(({ ended }) => ended));
    expect(ends).to.deep.equal(children.map(() => `${WEIGHTS.length}`));
    expect(sha256(await readFile(join(folder, 'blobs', sha256(WEIGHTS))))).to.equal(sha256(WEIGHTS));
    expect(await names('blobs')).to.deep.equal([gitName(CONFIG), sha256(WEIGHTS)].sort());
    expect((await lstat(join(folder, 'snapshots', COMMIT, 'config.json'))).isSymbolicLink()).to.equal(true);
  });

  it('reports a folder that cannot be written', async () => {
    const file = join(root, 'file');
    await writeFile(file, '');
    await expectRefused(
      () => load({ cache: nodeHubCache(join(file, 'below')) }),
      'cannot be written',
      'HF_HUB_CACHE',
    );
  });

  it('reports a full disk', async function () {
    if (!existsSync('/dev/full')) this.skip();
    await load();
    await rm(join(folder, 'snapshots'), { recursive: true });
    await rm(join(folder, 'blobs', sha256(WEIGHTS)));
    await symlink('/dev/full', join(folder, 'blobs', `${sha256(WEIGHTS)}.${ownerTag()}.incomplete`));
    await expectRefused(() => load(), 'the disk is full', 'HF_HUB_CACHE');
  });

  const refusesContent: HubServer['faults'][number] = (asked, response) => {
    if (!isContent(asked)) return false;
    response.destroy();
    return true;
  };

  async function layPartial(bytes: Uint8Array, owner: string, changed?: Date): Promise<void> {
    const path = join(folder, 'blobs', `${sha256(WEIGHTS)}.${owner}.incomplete`);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
    if (changed) await utimes(path, changed, changed);
  }

  /** A process that loads the model and prints the number of its bytes. */
  function childLoad(): { child: ChildProcess; ended: Promise<string> } {
    const code = `import { openSource } from ${JSON.stringify(pathToFileURL('dist/node.js').href)};
      const files = await openSource('org/tiny');
      await files.read('config.json');
      console.log((await files.read('sub/model.safetensors')).length);`;
    const env = { ...process.env, HF_HUB_CACHE: root, HF_ENDPOINT: hub.url, HF_HOME: root };
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], { env });
    let said = '';
    child.stdout.on('data', (text) => {
      said += text;
    });
    child.stderr.on('data', (text) => {
      said += text;
    });
    return { child, ended: once(child, 'close').then(() => said.trim()) };
  }

  /** A process whose download stops after `at` bytes; prints `stuck` when they are on disk. */
  function stuckProcess(at: number): { child: ChildProcess; stuck: Promise<void> } {
    hub.faults.push((asked, response, content) => {
      if (!isContent(asked)) return false;
      response.writeHead(200, { 'content-length': content.byteLength });
      response.write(content.subarray(0, at));
      return true;
    });
    const { child } = childLoad();
    const stuck = (async () => {
      for (;;) {
        const [partial] = (await names('blobs')).filter(
          (name) => name.endsWith('.incomplete') && name.startsWith(sha256(WEIGHTS)),
        );
        const size = partial && (await lstat(join(folder, 'blobs', partial)).catch(() => undefined))?.size;
        if (size === at) return;
        await new Promise((go) => setTimeout(go, 20));
      }
    })();
    return { child, stuck };
  }
});

/** The cache as Python writes it: `snapshot_download` writes a list of files, `hf_hub_download` does not. */
async function layByHand(folder: string, listing: boolean): Promise<void> {
  const files: [string, string, Uint8Array | string][] = [
    ['config.json', gitName(CONFIG), CONFIG],
    ['sub/model.safetensors', sha256(WEIGHTS), WEIGHTS],
  ];
  await mkdir(join(folder, 'blobs'), { recursive: true });
  await mkdir(join(folder, 'refs'));
  await writeFile(join(folder, 'refs/main'), COMMIT);
  for (const [path, blob, content] of files) {
    await writeFile(join(folder, 'blobs', blob), content);
    const pointer = join(folder, 'snapshots', COMMIT, path);
    await mkdir(dirname(pointer), { recursive: true });
    await symlink(`${'../'.repeat(path.split('/').length + 1)}blobs/${blob}`, pointer);
  }
  if (!listing) return;
  await mkdir(join(folder, 'trees'));
  const tree = {
    format_version: 1,
    files: {
      'README.md': { size: 6, blob_id: gitName('unread') },
      'config.json': { size: CONFIG.length, blob_id: gitName(CONFIG) },
      'sub/model.safetensors': {
        size: WEIGHTS.length,
        blob_id: gitName('pointer'),
        lfs_sha256: sha256(WEIGHTS),
        lfs_size: WEIGHTS.length,
        xet_hash: 'ab'.repeat(32),
      },
    },
  };
  await writeFile(join(folder, 'trees', `${COMMIT}.json`), JSON.stringify(tree, null, 1));
}
