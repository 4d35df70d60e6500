import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { fetchFiles } from '../../src/io/files.ts';
import { expectRefused } from './refused.ts';

describe('io/files over HTTP', () => {
  let server: Server;
  let base: string;
  before((done) => {
    server = createServer((request, response) => {
      const found: Record<string, number> = { '/m/a%20b.txt': 200, '/m/secret': 403 };
      response.writeHead(found[request.url ?? ''] ?? 404);
      response.end(request.method === 'HEAD' ? undefined : 'hé');
    }).listen(0, '127.0.0.1', () => {
      base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/m/`;
      done();
    });
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  it('reads what the server has', async () => {
    const files = fetchFiles(base);
    expect(await files.readText('a b.txt')).to.equal('hé');
    expect(await files.exists('a b.txt')).to.equal(true);
    expect(await files.exists('b')).to.equal(false);
  });

  it('tells a missing file from a refused one and from no server', async () => {
    const files = fetchFiles(base);
    await expectRefused(() => files.read('config.json'), 'there is no file "config.json"', base.slice(0, -1));
    await expectRefused(() => files.read('secret'), '/m/secret', 'answered 403');
    await expectRefused(() => files.exists('../secret'), 'leads out');
    await expectRefused(
      () => fetchFiles('http://127.0.0.1:1').read('x'),
      'http://127.0.0.1:1/x',
      'cannot be fetched',
    );
  });
});
