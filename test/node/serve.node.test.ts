import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type Server, serve } from '../../src/testing.ts';

describe('the file server', () => {
  let root = '';
  let server: Server;

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'webalign-serve-'));
    for (const folder of ['site', 'extra', 'secret']) await mkdir(join(root, folder));
    await writeFile(join(root, 'site/page.js'), 'export {};');
    await writeFile(join(root, 'extra/a b.bin'), Uint8Array.of(1, 2));
    await writeFile(join(root, 'secret/key'), 'secret');
    server = await serve({ '/': join(root, 'site'), '/extra/': join(root, 'extra') });
  });

  after(async () => {
    await server.close();
    await rm(root, { recursive: true, force: true });
  });

  /** Sends the path unchanged: `fetch` would normalize it. */
  const status = (path: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      request(`${server.url}/`, { path }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .once('error', reject)
        .end();
    });

  it('serves the files of each folder', async () => {
    const page = await fetch(`${server.url}/page.js`);
    expect(page.headers.get('content-type')).to.equal('text/javascript');
    const bytes = await (await fetch(`${server.url}/extra/a%20b.bin?x=1`)).arrayBuffer();
    expect([...new Uint8Array(bytes)]).to.deep.equal([1, 2]);
  });

  it('serves an empty page if there is none', async () => {
    const page = await fetch(`${server.url}/`);
    expect(page.status).to.equal(200);
    expect(page.headers.get('content-type')).to.include('text/html');
  });

  it('serves nothing else', async () => {
    for (const path of [
      '/nowhere.js',
      '/../secret/key',
      '/%2e%2e/secret/key',
      '/extra/..%2f..%2fsecret/key',
      '/%00',
      '/%',
    ]) {
      expect(await status(path), path).to.be.oneOf([400, 404]);
    }
  });
});
