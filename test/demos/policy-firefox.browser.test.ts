/** The checks of `policy.browser.test.ts` in Firefox; skipped where no Firefox is installed. */
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname } from 'node:path';
import { expect } from 'chai';
import { findFirefox, openFirefox } from '../support/firefox.ts';
import { REFUSED, reach } from './reach.ts';

const WITH_WORKER = ['align', 'rlhf', 'bench', 'studio'];
/** A page without any policy, which shows that the other server would answer. */
const FREE = 'free';
const PAGES = [...WITH_WORKER, 'optimum', FREE];
const SITE = 'dist/demos';
/** Where pages and workers tell what they found. */
const FOUND = '/found/';
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
};

type Found = Record<string, string>;

describe('the policy of the demos, in Firefox', function () {
  this.timeout(300_000);
  let other: Server;
  let site: Server;
  let firefox: Awaited<ReturnType<typeof openFirefox>>;
  /** By page, and by page and "worker". */
  const found = new Map<string, Found>();
  const asked: string[] = [];

  before(async function () {
    const program = findFirefox();
    if (!program) this.skip();
    other = createServer((request, response) => {
      asked.push(request.url ?? '');
      response
        .writeHead(200, { 'access-control-allow-origin': '*', 'content-type': 'text/javascript' })
        .end();
    });
    const otherUrl = await started(other);
    site = createServer(async (request, response) => {
      const path = new URL(request.url ?? '/', 'http://localhost').pathname;
      if (path.startsWith(FOUND)) {
        found.set(
          path.slice(FOUND.length),
          JSON.parse(decodeURIComponent(request.url?.split('?')[1] ?? '')) as Found,
        );
        response.writeHead(200, { 'content-type': TYPES['.js'] }).end();
        return;
      }
      const content = await contentOf(path, `http://${request.headers.host}`, otherUrl);
      const type = TYPES[extname(path) || '.html'] ?? 'application/octet-stream';
      response.writeHead(content === undefined ? 404 : 200, { 'content-type': type }).end(content);
    });
    const url = await started(site);
    firefox = await openFirefox(
      program,
      PAGES.map((page) => `${url}/${page}/`),
    );
  });
  after(async () => {
    await firefox?.close();
    for (const server of [site, other]) {
      server?.close();
      server?.closeAllConnections();
    }
  });

  const told = async (who: string): Promise<Found> => {
    for (let tries = 0; tries < 1200; tries++) {
      const known = found.get(who);
      if (known) return known;
      await new Promise((go) => setTimeout(go, 100));
    }
    throw new Error(`nothing was heard of ${who}`);
  };

  it('is tested with a server that answers', async () => {
    expect(await told(FREE)).to.include({ fetch: 'reached', import: 'reached', XMLHttpRequest: 'reached' });
  });
  for (const page of PAGES.filter((each) => each !== FREE))
    it(`${page}: its page reaches no other origin`, async () => {
      expect(await told(page)).to.deep.equal(REFUSED);
    });
  for (const page of WITH_WORKER)
    it(`${page}: neither does its worker`, async () => {
      expect(await told(`${page}/worker`)).to.deep.equal(REFUSED);
    });
  it('the other server received no requests', () => {
    expect(asked.filter((path) => !path.startsWith(`/${FREE}/`))).to.deep.equal([]);
  });
});

/** A file of the site as it is built, with a script beside it that tries to leave, in the page and at the start of its worker. */
async function contentOf(path: string, self: string, other: string): Promise<string | Buffer | undefined> {
  const page = path.split('/')[1] ?? '';
  // Some pages may fetch nothing, but all may import from their own server.
  const tries = (who: string) =>
    `const reach = ${reach};\nconst found = JSON.stringify(await reach('${other}/${page}'));\n` +
    `await import('${self}${FOUND}${who}?' + encodeURIComponent(found));`;
  const script = '<script type="module" src="reach.js"></script>';
  if (path.endsWith('/reach.js')) return tries(page);
  if (path === `/${FREE}/`) return `<!doctype html><title>free</title>${script}`;
  if (path.endsWith('/worker.js')) return `import './worker-as-built.js';\n${tries(`${page}/worker`)}`;
  const file = path.replace('worker-as-built.js', 'worker.js').replace(/\/$/, '/index.html');
  const built = await readFile(`${SITE}${file}`).catch(() => undefined);
  return file.endsWith('/index.html') ? built && String(built).replace('</head>', `${script}</head>`) : built;
}

async function started(server: Server): Promise<string> {
  await new Promise<void>((go) => server.listen(0, '127.0.0.1', go));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
