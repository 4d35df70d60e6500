import { expect } from 'chai';
import { memoryHubCache } from '../../../src/io/hub/cache.ts';
import { DamagedDownloadError } from '../../../src/io/hub/download.ts';
import { openSource, type SourceOptions } from '../../../src/io/sources.ts';
import { answers, cutAt, HubServer, isContent, type Seen, sends, sha256 } from '../../support/hub-server.ts';
import { expectRefused, failureOf } from '../refused.ts';

const COMMIT = 'c0ffee'.padEnd(40, '0');
const WEIGHTS = Uint8Array.from({ length: 5000 }, (_, i) => (i * 31) % 251);
const TOKEN = 'hf_secretSecretSecret';

describe('io/hub', () => {
  let hub: HubServer;
  let waits: number[];
  let told: string[];
  before(async () => {
    hub = await HubServer.open();
  });
  after(() => hub.close());
  beforeEach(() => {
    hub.take();
    hub.faults.length = 0;
    hub.ranges = true;
    waits = [];
    told = [];
    hub.repositories['org/tiny'] = {
      commit: COMMIT,
      files: {
        'config.json': '{"a":1}',
        'model.safetensors': WEIGHTS,
        'sub dir/é.txt': 'deep',
        'README.md': '',
        'other.bin': WEIGHTS.map((byte) => 255 - byte),
      },
    };
    hub.repositories['org/private'] = {
      commit: COMMIT,
      files: { 'model.safetensors': WEIGHTS },
      token: TOKEN,
    };
    hub.repositories['org/gated'] = { commit: COMMIT, files: { 'config.json': '{}' }, gated: true };
  });

  const options = (more: SourceOptions = {}): SourceOptions => ({
    endpoint: hub.url,
    cache: memoryHubCache(),
    pause: async (milliseconds) => void waits.push(milliseconds),
    onNotice: (line) => void told.push(line),
    ...more,
  });
  const paths = (seen: Seen[]) => seen.map(({ method, path }) => `${method} ${path}`);

  it('says which file to name if a repository only has GGUF files', async () => {
    hub.repositories['org/gguf'] = { commit: COMMIT, files: { 'a-q8_0.gguf': WEIGHTS, 'b.gguf': WEIGHTS } };
    const files = await openSource('org/gguf', options());
    const refused = () => files.readText('config.json');
    await expectRefused(refused, 'a-q8_0.gguf, b.gguf', 'org/gguf/a-q8_0.gguf');
    expect(await files.exists('config.json')).to.equal(false);
  });

  it('is a folder whose files are downloaded on demand', async () => {
    const files = await openSource('org/tiny', options());
    expect([files.name, files.revision]).to.deep.equal(['org/tiny', COMMIT]);
    expect(await files.exists('model.safetensors')).to.equal(true);
    expect(await files.exists('model.safetensors.index.json')).to.equal(false);
    expect(await files.readText('config.json')).to.equal('{"a":1}');
    expect(await files.readText('sub dir/é.txt')).to.equal('deep');
    expect(await files.readText('README.md')).to.equal('');
    const weights = await files.open('model.safetensors');
    expect([weights.name, weights.size]).to.deep.equal(['org/tiny/model.safetensors', WEIGHTS.length]);
    expect(await weights.read(10, 3)).to.deep.equal(WEIGHTS.slice(10, 13));
    expect(paths(hub.seen)).to.deep.equal([
      'GET /api/models/org/tiny/revision/main',
      `GET /api/models/org/tiny/tree/${COMMIT}?recursive=true`,
      `GET /api/models/org/tiny/tree/${COMMIT}?recursive=true&cursor=2`,
      `GET /api/models/org/tiny/tree/${COMMIT}?recursive=true&cursor=4`,
      `GET /org/tiny/resolve/${COMMIT}/config.json`,
      `GET /org/tiny/resolve/${COMMIT}/sub dir/é.txt`,
      `GET /org/tiny/resolve/${COMMIT}/model.safetensors`,
      `GET /${sha256(WEIGHTS)}`,
    ]);
    await expectRefused(() => files.read('nope.json'), 'org/tiny', 'nope.json');
    expect(told.join()).to.include(`main is commit ${COMMIT.slice(0, 8)}`);
  });

  it('makes no request for cached data', async () => {
    const cache = memoryHubCache();
    const load = async (more: SourceOptions = {}, name = 'org/tiny') => {
      const files = await openSource(name, options({ cache, ...more }));
      return [await files.readText('config.json'), await files.exists('tokenizer.json'), files.revision];
    };
    const first = await load();
    hub.take();
    expect(await load()).to.deep.equal(first);
    expect(await load({ offline: true })).to.deep.equal(first);
    expect(await load({}, `org/tiny@${COMMIT}`)).to.deep.equal(first);
    expect(await load({ revision: COMMIT }, 'hf://org/tiny')).to.deep.equal(first);
    expect(hub.take()).to.deep.equal([]);
    hub.repositories['org/tiny'].commit = 'beef'.padEnd(40, '0');
    expect((await load()).at(-1), 'as it was').to.equal(COMMIT);
    expect((await load({ refresh: true })).at(-1), 'as it is').to.equal('beef'.padEnd(40, '0'));
    expect((await load()).at(-1)).to.equal('beef'.padEnd(40, '0'));
  });

  it('makes no request offline, and names what is missing', async () => {
    const cache = memoryHubCache();
    await expectRefused(
      () => openSource('org/tiny', options({ cache, offline: true })),
      'org/tiny',
      '"main"',
      'not in the cache',
    );
    const files = await openSource(`org/tiny@${COMMIT}`, options({ cache, offline: true }));
    expect(await files.exists('config.json')).to.equal(false);
    await expectRefused(() => files.read('config.json'), 'config.json', 'not in the cache', 'Go online');
    expect(hub.seen).to.deep.equal([]);
  });

  it('reports progress', async () => {
    const seen: unknown[] = [];
    const files = await openSource(
      'org/tiny',
      options({ onProgress: (progress) => void seen.push(progress) }),
    );
    await files.open('model.safetensors');
    const file = 'model.safetensors';
    expect(seen[0]).to.deep.equal({ file, loaded: 0, total: 5000 });
    expect(seen.at(-1)).to.deep.equal({ file, loaded: 5000, total: 5000 });
  });

  it('sends the token only to the hub, and does not show it', async () => {
    const files = await openSource('org/private', options({ token: TOKEN }));
    hub.faults.push(cutAt(100));
    expect(await files.read('model.safetensors')).to.deep.equal(WEIGHTS);
    const bearers = hub.seen.map(({ on, headers }) => [on, headers.authorization]);
    expect(bearers.filter(([on]) => on === 'network')).to.deep.equal([
      ['network', undefined],
      ['network', undefined],
    ]);
    for (const [, bearer] of bearers.filter(([on]) => on === 'hub'))
      expect(bearer).to.equal(`Bearer ${TOKEN}`);
    for (const bad of [`${TOKEN}\nX: y`, `${TOKEN} `, '']) {
      const error = await failureOf(() => openSource('org/private', options({ token: bad })));
      expect(String(error)).to.include('token').and.not.include('secret');
    }
    expect(told.join()).not.to.include('secret');
    // A list of files that continues on another server would receive the token.
    hub.faults.push((asked, response) => {
      if (!asked.path.includes('/tree/')) return false;
      response.writeHead(200, { link: `<${hub.networkUrl}/next>; rel="next"` }).end('[]');
      return true;
    });
    hub.take();
    const other = await openSource('org/private', options({ token: TOKEN }));
    await expectRefused(() => other.exists('x'), 'list of files');
    expect(hub.seen.every(({ on }) => on === 'hub')).to.equal(true);
  });

  const REFUSED: [string, string, SourceOptions, ...string[]][] = [
    [
      'a repository that is not there',
      'org/nowhere',
      {},
      'org/nowhere',
      'does not exist, or is private',
      'HF_TOKEN',
    ],
    ['a private one', 'org/private', {}, 'org/private', 'private', 'HF_TOKEN'],
    ['a private one with a wrong token', 'org/private', { token: 'hf_wrong' }, 'account of the token'],
    ['a gated one', 'org/gated', {}, 'org/gated/config.json', 'gated', '/org/gated', 'HF_TOKEN'],
    ['a gated one with a token', 'org/gated', { token: TOKEN }, 'gated', 'with the account of the token'],
    ['an unknown revision', 'org/tiny@dev', {}, 'org/tiny', 'no revision "dev"'],
    ['a revision that contains a path', 'org/tiny', { revision: '../../x' }, 'is not a valid revision'],
    ['an invalid endpoint', 'org/tiny', { endpoint: 'hub' }, 'endpoint', '"hub"'],
    ['two revisions', 'org/tiny@dev', { revision: 'main' }, 'given twice'],
  ];
  for (const [what, name, more, ...parts] of REFUSED) {
    it(`says what is wrong with ${what}`, () =>
      expectRefused(async () => (await openSource(name, options(more))).read('config.json'), ...parts));
  }

  it('waits as long as a busy server requests, up to a limit', async () => {
    hub.faults.push(answers(429, { 'retry-after': '7' }), answers(500), answers(503));
    expect(await (await openSource('org/tiny', options())).readText('config.json')).to.equal('{"a":1}');
    expect(waits[0]).to.equal(7000);
    expect(waits).to.have.length(3);
    expect(told.join('\n')).to.include('429').and.include('trying again in 7 s');
    hub.faults.push(...Array.from({ length: 6 }, () => answers(429, { 'retry-after': '1' })));
    await expectRefused(() => openSource('org/tiny', options()), '429', 'too many requests');
    hub.faults.splice(0);
    hub.faults.push(answers(429, { 'retry-after': '99999' }));
    await expectRefused(() => openSource('org/tiny', options()), '429');
    await expectRefused(
      () => openSource('org/tiny', options({ endpoint: 'http://127.0.0.1:9' })),
      '127.0.0.1:9',
      'cannot be reached',
    );
  });

  for (const at of [0, 1, 2, 1234, WEIGHTS.length - 1]) {
    it(`continues a download that was cut at byte ${at}`, async () => {
      hub.faults.push(cutAt(at));
      let kept = 0;
      const onProgress = ({ loaded }: { loaded: number }) => {
        if (hub.seen.filter(isContent).length < 2) kept = loaded;
      };
      const files = await openSource('org/tiny', options({ onProgress }));
      expect(await files.read('model.safetensors')).to.deep.equal(WEIGHTS);
      expect(kept).to.be.at.most(at);
      const ranges = hub.seen.filter(isContent).map(({ headers }) => headers.range);
      expect(ranges).to.deep.equal([undefined, kept === 0 ? undefined : `bytes=${kept}-`]);
    });
  }

  it('starts again if a server does not support ranges, or the file has changed', async () => {
    hub.ranges = false;
    hub.faults.push(cutAt(100));
    expect(await (await openSource('org/tiny', options())).read('model.safetensors')).to.deep.equal(WEIGHTS);
    hub.ranges = true;
    const elsewhere = (asked: Seen) => isContent(asked) && asked.headers.range !== undefined;
    hub.faults.push(cutAt(100), (asked, response, content) => {
      if (!elsewhere(asked)) return false;
      response.writeHead(206, { etag: '"another"', 'content-range': `bytes 100-4999/5000` });
      response.end(content.subarray(100));
      return true;
    });
    hub.take();
    expect(await (await openSource('org/tiny', options())).read('model.safetensors')).to.deep.equal(WEIGHTS);
    expect(hub.seen.filter(isContent).map(({ headers }) => headers.range)).to.deep.equal([
      undefined,
      'bytes=100-',
      undefined,
    ]);
  });

  it('gives up if it makes no progress', async () => {
    hub.ranges = false;
    hub.faults.push(...Array.from({ length: 100 }, () => cutAt(100, false)));
    const files = await openSource('org/tiny', options());
    await expectRefused(
      () => files.read('model.safetensors'),
      'org/tiny/model.safetensors',
      'was interrupted',
    );
    expect(hub.seen.filter(isContent).length).to.be.below(10);
  });

  it('opens a file of a repository that contains a whole model', async () => {
    const files = await openSource('org/tiny/model.safetensors', options());
    expect([files.name, files.revision]).to.deep.equal(['org/tiny/model.safetensors', COMMIT]);
    expect(await files.readText('config.json')).to.equal('{"a":1}');
    expect(await files.read('model.safetensors')).to.deep.equal(WEIGHTS);
  });

  const DAMAGE: [string, (content: Uint8Array) => Uint8Array, string][] = [
    ['wrong bytes', (content) => content.map((byte, i) => (i === 77 ? byte ^ 1 : byte)), 'hash'],
    ['too few bytes', (content) => content.subarray(1), '4999 bytes'],
    ['too many bytes', (content) => Uint8Array.from([...content, 0]), '5001 bytes'],
  ];
  for (const [what, make, part] of DAMAGE) {
    it(`does not accept ${what} as the file`, async () => {
      const given = options();
      hub.faults.push(sends(make));
      const files = await openSource('org/tiny', given);
      const error = await failureOf(() => files.read('model.safetensors'));
      expect(error).to.be.instanceOf(DamagedDownloadError);
      expect(String(error)).to.include('org/tiny/model.safetensors').and.include(part);
      expect(await files.read('model.safetensors'), 'the next time').to.deep.equal(WEIGHTS);
    });
  }

  it('stops on a signal', async () => {
    const stop = new AbortController();
    const files = await openSource('org/tiny', options({ signal: stop.signal }));
    hub.faults.push((asked, response, content) => {
      if (!isContent(asked)) return false;
      response.writeHead(200, { 'content-length': content.byteLength });
      response.write(content.subarray(0, 10), () => stop.abort(new Error('enough')));
      return true;
    });
    expect(String(await failureOf(() => files.open('model.safetensors')))).to.include('enough');
  });
});
