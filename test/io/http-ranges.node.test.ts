/** A long file by ranges: few requests, several at once, one version, and what a cache gets of it. */
import type { ServerResponse } from 'node:http';
import { expect } from 'chai';
import { fetchFiles } from '../../src/io/http-files.ts';
import { memoryHubCache } from '../../src/io/hub/cache.ts';
import { type Answer, etagOf, FileServer, SERVERS } from '../support/file-server.ts';
import { expectRefused, failureOf } from './refused.ts';

const LARGE = Uint8Array.from({ length: 40_000_000 }, (_, i) => (i * 31) % 251);
const PIECES = Math.ceil(LARGE.length / 2 ** 23);

/** Fast, whereas `deep.equal` takes seconds. */
const isLarge = (bytes: Uint8Array) => Buffer.compare(bytes, LARGE) === 0;

describe('io/http-ranges', function () {
  this.timeout(30_000);
  let server: FileServer;
  let underWay: number;
  let most: number;
  /** What happens to a request before it is answered. */
  let before: Answer;

  const isPart = (range: string | undefined) => range !== undefined && range !== 'bytes=0-65535';

  beforeEach(async () => {
    [underWay, most] = [0, 0];
    before = () => undefined;
    server = await FileServer.open({ '/m/large.bin': LARGE }, async (...args) => {
      const [{ headers }, response] = args;
      if (isPart(headers.range)) most = Math.max(most, ++underWay);
      response.once('close', () => isPart(headers.range) && underWay--);
      if ((await before(...args)) === true) return;
      // Time for other requests to arrive meanwhile.
      await new Promise((go) => setTimeout(go, 20));
      SERVERS['a plain server'](...args);
    });
  });
  afterEach(() => server.close());

  const open = (options: Parameters<typeof fetchFiles>[1] = {}) =>
    fetchFiles(`${server.url}/m`, { pause: async () => undefined, ...options }).open('large.bin');

  it('makes few requests, four at a time, with and without a cache', async () => {
    for (const cache of [memoryHubCache(), undefined]) {
      server.take();
      const told: number[] = [];
      const source = await open({ cache, onProgress: ({ loaded }) => void told.push(loaded) });
      expect(isLarge(await source.read(0, LARGE.length))).to.equal(true);
      expect(server.take()).to.have.length(1 + PIECES);
      expect(most).to.equal(4);
      expect(told).to.deep.equal([...told].sort((a, b) => a - b));
      expect(told.at(-1)).to.equal(LARGE.length);
    }
  });

  it('reads adjacent ranges with one request, and only the needed part', async () => {
    const source = await open();
    for (let at = 20_000_000; at < 20_100_000; at += 1000)
      expect(await source.read(at, 7)).to.deep.equal(LARGE.slice(at, at + 7));
    expect(server.take()).to.deep.equal([
      'GET /m/large.bin bytes=0-65535',
      `GET /m/large.bin bytes=${2 * 2 ** 23}-${3 * 2 ** 23 - 1}`,
    ]);
  });

  it('requests the version that it started with', async () => {
    const source = await open();
    await source.read(100_000, 10);
    expect(server.seen.map(({ headers }) => headers['if-range'])).to.deep.equal([undefined, etagOf(LARGE)]);
  });

  it('continues a piece after the connection broke', async () => {
    const cut = 2 ** 23 + 5_000_000;
    let isCut = false;
    before = ({ headers }, response) => {
      const [first = 0, last = 0] = headers.range?.match(/\d+/g)?.map(Number) ?? [];
      if (isCut || first > cut || last < cut) return false;
      isCut = true;
      const range = `bytes ${first}-${last}/${LARGE.length}`;
      response.writeHead(206, {
        'content-range': range,
        'content-length': last + 1 - first,
        etag: etagOf(LARGE),
      });
      response.write(LARGE.subarray(first, cut), () => setTimeout(() => response.destroy(), 50));
      return true;
    };
    const source = await open();
    expect(isLarge(await source.read(0, LARGE.length))).to.equal(true);
    const starts = server.take().map((line) => Number(/bytes=(\d+)/.exec(line)?.[1]));
    expect(starts).to.have.length(1 + PIECES + 1);
    const [within] = starts.filter((start) => start % 2 ** 23 !== 0);
    expect(within)
      .to.be.above(2 ** 23)
      .and.at.most(2 ** 23 + 5_000_000);
  });

  const become = (bytes: Uint8Array) => {
    server.files['/m/large.bin'] = bytes;
  };
  const OTHERS: [string, Uint8Array][] = [
    ['ETag', LARGE.map((byte) => byte ^ 1)],
    ['length', LARGE.subarray(0, 30_000_000)],
  ];
  for (const [what, other] of OTHERS) {
    it(`does not mix two versions: another ${what} is an error, and nothing is stored`, async () => {
      const cache = memoryHubCache();
      for (const kept of [cache, undefined]) {
        become(LARGE);
        const source = await open({ cache: kept });
        become(other);
        await expectRefused(
          () => source.read(0, LARGE.length),
          `${server.url}/m/large.bin`,
          'changed on the server',
        );
      }
      become(LARGE);
      server.take();
      expect(isLarge(await (await open({ cache })).read(0, LARGE.length))).to.equal(true);
      expect(server.take(), 'fetched anew').to.have.length(1 + PIECES);
    });
  }

  it('does not mix two versions if the file changes between two pieces of a download', async () => {
    let parts = 0;
    before = ({ headers }) => {
      if (isPart(headers.range) && ++parts === 3) become(LARGE.map((byte) => byte ^ 1));
      return false;
    };
    const source = await open({ cache: memoryHubCache() });
    await expectRefused(() => source.read(0, LARGE.length), 'changed on the server');
  });

  it('aborts all requests if one fails, or on a signal', async () => {
    const stop = new AbortController();
    const parts: ServerResponse[] = [];
    before = ({ headers }, response) => {
      if (!isPart(headers.range)) return false;
      // The first is refused when the others have arrived, which are not answered.
      if (parts.push(response) === 4) parts[0].writeHead(403).end();
      return true;
    };
    const source = await open({ cache: memoryHubCache(), signal: stop.signal });
    await expectRefused(() => source.read(0, LARGE.length), '403');
    const idle = async () => {
      for (let i = 0; underWay > 0 && i < 100; i++) await new Promise((go) => setTimeout(go, 10));
      return underWay;
    };
    expect(await idle()).to.equal(0);
    expect(parts).to.have.length(4);
    const start = performance.now();
    setTimeout(() => stop.abort(new Error('enough')), 100);
    expect(String(await failureOf(() => source.read(0, LARGE.length)))).to.include('enough');
    // Without a signal the requests would be waited for until their time-out, a minute.
    expect(performance.now() - start).to.be.below(10_000);
    expect(await idle()).to.equal(0);
  });
});
