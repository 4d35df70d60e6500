import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { fetchFiles } from '../../src/io/http-files.ts';
import { send } from '../support/hub-server.ts';
import { expectRefused } from './refused.ts';

const LARGE = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 31) % 251);

describe('io/http-files', () => {
  let server: Server;
  let base: string;
  let seen: string[];
  /** The server's behavior, which each test changes. */
  let is: { ranges: boolean; head: boolean; version: string };
  const contents: Record<string, Uint8Array | number> = {
    '/m/a%20b.txt': new TextEncoder().encode('hé'),
    '/m/large': LARGE,
    '/m/empty': new Uint8Array(),
    '/m/secret': 403,
    '/m/gone': 410,
  };

  before((done) => {
    server = createServer((request, response) => {
      const { method = '', url = '' } = request;
      seen.push(`${method} ${url} ${request.headers.range ?? ''}`.trim());
      const found = contents[url.replace(/\?.*/, '')] ?? 404;
      response.setHeader('etag', is.version);
      if (typeof found === 'number') response.writeHead(found).end();
      else if (method === 'HEAD' && !is.head) response.writeHead(405).end();
      else send({ method, headers: request.headers }, response, found, is.ranges);
    }).listen(0, '127.0.0.1', () => {
      base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/m/`;
      done();
    });
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => {
    seen = [];
    is = { ranges: true, head: true, version: '"1"' };
  });

  it("reads the server's files, a small file with one request", async () => {
    const files = fetchFiles(base);
    expect(await files.readText('a b.txt')).to.equal('hé');
    expect(seen).to.deep.equal(['GET /m/a%20b.txt bytes=0-65535']);
    expect((await files.read('empty')).length).to.equal(0);
    expect(await files.exists('a b.txt')).to.equal(true);
    expect(await files.exists('empty')).to.equal(true);
    expect(await files.exists('b')).to.equal(false);
    expect(await files.exists('gone')).to.equal(false);
    expect(await files.exists('large')).to.equal(true);
    expect(await (await files.open('large')).read(0, 10)).to.deep.equal(LARGE.slice(0, 10));
    expect(await files.readText('a b.txt')).to.equal('hé');
    expect(seen, 'one request a file').to.deep.equal([...new Set(seen)]);
  });

  it('reads a large file in large pieces', async () => {
    const source = await fetchFiles(base).open('large');
    expect(source.size).to.equal(LARGE.length);
    expect(await source.read(100, 5)).to.deep.equal(LARGE.slice(100, 105));
    expect(seen).to.have.length(1);
    expect(await source.read(150_000, 50_000)).to.deep.equal(LARGE.slice(150_000));
    expect(await source.read(70_000, 1000)).to.deep.equal(LARGE.slice(70_000, 71_000));
    expect(seen.slice(1), 'with what lies beside it').to.deep.equal(['GET /m/large bytes=0-199999']);
    await expectRefused(() => source.read(199_999, 2), '/m/large', '200000 bytes long');
  });

  it('fetches the whole file once if the server does not support ranges', async () => {
    is.ranges = false;
    const source = await fetchFiles(base).open('large');
    expect(await source.read(150_000, 50_000)).to.deep.equal(LARGE.slice(150_000));
    expect(await source.read(0, 10)).to.deep.equal(LARGE.slice(0, 10));
    expect(seen).to.have.length(1);
  });

  it('gets the size by HEAD if the range header is hidden, and fetches the whole file if that fails', async () => {
    const hidden: typeof fetch = async (...request) => {
      const { status, body, headers } = await fetch(...request);
      const shown = new Headers(headers);
      shown.delete('content-range');
      return new Response(body, { status, headers: shown });
    };
    for (const head of [true, false]) {
      is.head = head;
      seen = [];
      const source = await fetchFiles(base, { fetch: hidden }).open('large');
      expect(await source.read(150_000, 50_000)).to.deep.equal(LARGE.slice(150_000));
      expect(seen.map((line) => line.split(' ')[0])).to.deep.equal(['GET', 'HEAD', 'GET']);
      expect(seen.at(-1)).to.equal(head ? 'GET /m/large bytes=0-199999' : 'GET /m/large');
    }
  });

  it('sends a query with every request, and omits it from messages', async () => {
    const files = fetchFiles(`${base}?key=secret`);
    expect(files.name).to.equal(base.slice(0, -1));
    await files.read('a b.txt');
    expect(seen).to.deep.equal(['GET /m/a%20b.txt?key=secret bytes=0-65535']);
  });

  it('does not mix two versions of a file', async () => {
    const source = await fetchFiles(base).open('large');
    is.version = '"2"';
    await expectRefused(() => source.read(100_000, 5), '/m/large', 'changed on the server');
  });

  it('distinguishes a missing file from a refused one and an unreachable server', async () => {
    const pause = async () => undefined;
    const files = fetchFiles(base, { pause });
    await expectRefused(() => files.read('config.json'), 'there is no file "config.json"', base.slice(0, -1));
    await expectRefused(() => files.read('secret'), '/m/secret', 'responded with 403');
    await expectRefused(() => files.exists('secret'), '/m/secret', 'responded with 403');
    await expectRefused(() => files.exists('../secret'), 'outside the folder');
    const nobody = fetchFiles('http://127.0.0.1:9', { pause });
    await expectRefused(() => nobody.read('x'), 'http://127.0.0.1:9/x', 'cannot be reached');
  });
});
